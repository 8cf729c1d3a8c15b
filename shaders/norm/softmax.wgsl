// out = e^(x - m) / Σ e^(x - m) along each row, m its maximum (LOG: x - m - log Σ e^(x - m)); masked elements take no part and give 0.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup, each row in registers where it fits: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override LOG: u32 = 0;
override HAS_MASK: u32 = 0;
//!include lib/index.wgsl
//!include lib/broadcast.wgsl
//!include lib/row.wgsl
//!include lib/row_x.wgsl
//!include lib/row_out.wgsl
//!include lib/softmax.wgsl

// n: the axes that the rows run over; m: the mask's strides along them; mask_step: its stride along the row.
struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    m_low: vec4<u32>, m_high: vec4<u32>,
    rows: u32, cols: u32, mask_step: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<private> mask_row: u32;

// Which elements take part.
fn open(k: u32) -> vec4<bool> {
    let mine = inside(k);
    if HAS_MASK == 0u { return mine; }
    let at = vec4(mask_row) + (vec4(column(k)) + vec4(0u, 1u, 2u, 3u)) * params.mask_step;
    return mine & (vec4(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) != vec4(0u));
}

fn load(k: u32) -> Cell { return select(vec4(-infinity()), read_x(k), open(k)); }

fn result(k: u32, cell: Cell) -> vec4<f32> {
    var y: vec4<f32>;
    if LOG == 1u { y = cell - top - log(total); } else { y = share(cell); }
    if HAS_MASK == 1u { y = select(vec4(0.0), y, open(k)); }
    return y;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_row = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    stage_x(first_row, index, params.rows);
    take_row(first_row, index, params.rows, params.cols);
    if HAS_MASK == 1u { mask_row = broadcast_offset(first_row + index / SEGMENT, params.n_low, params.n_high, params.m_low, params.m_high); }
    softmax_row(lane);
    put_tile(first_row, index, params.rows);
}
