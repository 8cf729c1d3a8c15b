// out[r, p] = OP over part p of row r of x (or of x - center[r]) / divisor.  OP: see lib/reduce_ops.wgsl.
// SEGMENT lanes per part, WORKGROUP / SEGMENT parts per workgroup: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override OP: u32;
override HAS_CENTER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce_ops.wgsl
//!include lib/row.wgsl
//!include lib/row_x.wgsl
//!include lib/reduce_segments.wgsl

// A row has `parts` parts of `chunk` elements, the last one what is left; centers repeat over the rows.
struct Params { rows: u32, cols: u32, parts: u32, chunk: u32, centers: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

alias Cell = vec4<f32>;

var<private> shift: f32;
var<private> recent: Item;
var<private> item: Item;

fn load(k: u32) -> Cell { return read_x(k) - shift; }

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    let mine = inside(k);
    var more = accumulate4(recent, select(vec4(neutral()), cell, mine));
    if OP == 4u { more = select(recent, more, any(mine)); }  // where all is -∞, -∞ counts, but not from outside
    recent = more;
    return cell;
}

fn settle() {
    item = combine(item, recent);
    recent = identity();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_part = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    stage_x(first_part, index, params.rows);
    let part = first_part + index / SEGMENT;
    let row = part / params.parts;
    let start = part % params.parts * params.chunk;
    take_span(row * params.cols + start, select(0u, min(params.chunk, params.cols - start), row < params.rows), index % SEGMENT);
    row_tile = index / SEGMENT * COLS;
    if HAS_CENTER == 1u { shift = center[row % params.centers]; }
    recent = identity();
    item = identity();
    fill();
    sweep(0u);
    item = segment_reduce(lane, item);
    if row_at == 0u && row < params.rows { out[part] = finish(item, params.divisor); }
}
