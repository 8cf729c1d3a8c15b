// out = e^(x - m) / Σ e^(x - m) along each row, m its maximum (LOG: x - m - log Σ e^(x - m)); masked elements take no part and give 0.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup: maximum and sum in one pass, then the result.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override LOG: u32 = 0;
override VEC4: u32 = 0;  // 1: every row starts at a multiple of four elements
override HAS_MASK: u32 = 0;
override OP: u32 = 4;  // logsumexp, of lib/reduce_ops.wgsl
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/broadcast.wgsl
//!include lib/reduce_ops.wgsl
//!include lib/reduce_segments.wgsl

// n: the axes that the rows run over; m: the mask's strides along them; mask_step: its stride along the row.
struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    m_low: vec4<u32>, m_high: vec4<u32>,
    rows: u32, cols: u32, mask_step: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn open(mask_row: u32, i: u32) -> bool {
    return HAS_MASK == 0u || mask[mask_row + i * params.mask_step] != 0u;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let at = index % SEGMENT;
    let row = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let cols = select(0u, params.cols, row < params.rows);
    let first = row * params.cols;
    var mask_row = 0u;
    if HAS_MASK == 1u { mask_row = broadcast_offset(row, params.n_low, params.n_high, params.m_low, params.m_high); }
    var item = identity();
    if VEC4 == 1u {
        for (var i = at; i < cols / 4u; i += SEGMENT) { item = accumulate4(item, x[first / 4u + i]); }
    } else {
        for (var i = at; i < cols; i += SEGMENT) {
            let v = x[(first + i) / 4u][(first + i) % 4u];
            if open(mask_row, i) { item = accumulate(item, v); }
        }
    }
    let both = segment_reduce(lane, item);
    let greatest = both.x;
    let total = select(both.y, nan(), is_inf(greatest) && both.y != 0.0);  // ∞ - ∞; a sum of 0 is a row without elements
    for (var i = at; i < cols; i += SEGMENT) {
        let above = x[(first + i) / 4u][(first + i) % 4u] - greatest;
        var y = 0.0;
        if open(mask_row, i) {
            if LOG == 1u { y = above - log(total); } else { y = exp(above) / total; }
        }
        out[first + i] = y;
    }
}
