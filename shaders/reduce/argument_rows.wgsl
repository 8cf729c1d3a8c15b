// out[r, p] = the index of the first maximum (or minimum) in part p of row r; the first NaN wins.
// SEGMENT lanes per part, WORKGROUP / SEGMENT parts per workgroup: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override MINIMUM: u32 = 0;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_x.wgsl
//!include lib/reduce_segments.wgsl
//!include lib/argument.wgsl

// A row has `parts` parts of `chunk` elements, the last one what is left.
struct Params { rows: u32, cols: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

alias Cell = vec4<f32>;

var<private> start: u32;
var<private> item: Item = Item(0u, 0xffffffffu);

fn load(k: u32) -> Cell { return read_x(k); }

// A lane meets its elements in ascending order, so a greater key alone replaces what it holds; that is rare.
fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    let keys = select(vec4(0u), vec4(key(cell.x), key(cell.y), key(cell.z), key(cell.w)), inside(k));
    let most = max(max(keys.x, keys.y), max(keys.z, keys.w));
    if most > item.x {
        let place = select(select(select(3u, 2u, keys.z == most), 1u, keys.y == most), 0u, keys.x == most);
        item = Item(most, start + column(k) + place);
    }
    return cell;
}

fn settle() {}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_part = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    stage_x(first_part, index, params.rows);
    let part = first_part + index / SEGMENT;
    let row = part / params.parts;
    start = part % params.parts * params.chunk;
    take_span(row * params.cols + start, select(0u, min(params.chunk, params.cols - start), row < params.rows), index % SEGMENT);
    row_tile = index / SEGMENT * COLS;
    fill();
    sweep(0u);
    item = segment_reduce(lane, item);
    if row_at == 0u && row < params.rows { out[part] = i32(item.y); }
}
