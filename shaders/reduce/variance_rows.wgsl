// out[r] = Σ (x - μ)² / divisor over row r, μ its mean.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup, each row in registers where it fits: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_x.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

alias Cell = vec4<f32>;
alias Item = f32;

const SUM = 0u;
const SQUARES = 1u;

var<private> origin: f32;  // all is relative to the row's first element, so that a mean far from zero costs no digits
var<private> mean: f32;
var<private> recent: f32;
var<private> sum: f32;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn load(k: u32) -> Cell { return read_x(k) - origin; }

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    let v = select(vec4(0.0), cell - mean, inside(k));
    if task == SUM { recent += (v.x + v.y) + (v.z + v.w); } else { recent += dot(v, v); }
    return cell;
}

fn settle() {
    sum += recent;
    recent = 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_row = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    stage_x(first_row, index, params.rows);
    take_row(first_row, index, params.rows, params.cols);
    origin = read_x(0u)[row_shift];
    fill();
    sweep(SUM);
    mean = segment_reduce(lane, sum) / f32(params.cols);
    sum = 0.0;
    sweep(SQUARES);
    sum = segment_reduce(lane, sum);
    if row_at == 0u && row_cols > 0u { out[first_row + index / SEGMENT] = sum / params.divisor; }
}
