// out = y · (g - Σ g·y) along each row, y a softmax (LOG: g - e^y · Σ g, y its logarithm).
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup, each row in registers where it fits: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override LOG: u32 = 0;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_out.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

struct Cell { g: vec4<f32>, y: vec4<f32> }
alias Item = f32;

const SUM = 0u;
const RESULT = 1u;

var<private> recent: f32;
var<private> sum: f32;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn load(k: u32) -> Cell { return Cell(g[quad(k)], y[quad(k)]); }

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    if task == SUM {
        var product = cell.g;
        if LOG == 0u { product *= cell.y; }
        product = select(vec4(0.0), product, inside(k));
        recent += (product.x + product.y) + (product.z + product.w);
    } else if LOG == 1u {
        put(k, cell.g - exp(cell.y) * sum);
    } else {
        put(k, cell.y * (cell.g - sum));
    }
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
    take_row(first_row, index, params.rows, params.cols);
    fill();
    sweep(SUM);
    sum = segment_reduce(lane, sum);
    sweep(RESULT);
}
