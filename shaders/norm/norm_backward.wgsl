// out = rstd · (h - mean(h) - z · mean(h · z)) + more along each row, h = g · weight, z = (x - first - offset) · rstd.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup: see lib/row.wgsl.  Without CENTERED (RMS norm) z = x · rstd and no mean(h).

override WORKGROUP: u32 = 256;
override CENTERED: u32 = 0;
override HAS_WEIGHT: u32 = 0;
override HAS_MORE: u32 = 0;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_out.wgsl
//!include lib/row_weight.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> offset: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> more: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

struct Cell { h: vec4<f32>, z: vec4<f32> }
alias Item = vec2<f32>;  // (Σ h, Σ h·z)

const SUMS = 0u;
const RESULT = 1u;

var<private> scale: f32;
var<private> origin: f32;
var<private> mean: f32;
var<private> recent: Item;
var<private> sums: Item;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn load(k: u32) -> Cell {
    var cell = Cell(g[quad(k)], x[quad(k)]);
    if HAS_WEIGHT == 1u { cell.h *= weight_at(k); }
    cell.z = (cell.z - origin - mean) * scale;
    return cell;
}

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    if task == SUMS {
        let h = select(vec4(0.0), cell.h, inside(k));
        let hz = select(vec4(0.0), cell.h * cell.z, inside(k));
        recent += Item((h.x + h.y) + (h.z + h.w), (hz.x + hz.y) + (hz.z + hz.w));
    } else {
        var y = scale * (cell.h - sums.x - cell.z * sums.y);
        if HAS_MORE == 1u { y += more[quad(k)]; }
        put(k, y);
    }
    return cell;
}

fn settle() {
    sums += recent;
    recent = Item(0.0, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_row = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    take_row(first_row, index, params.rows, params.cols);
    let row = min(first_row + index / SEGMENT, params.rows - 1u);
    scale = rstd[row];
    if CENTERED == 1u {
        origin = x[row_first / 4u][row_first % 4u];
        mean = offset[row];
    }
    fill();
    sweep(SUMS);
    sums = segment_reduce(lane, sums) / f32(params.cols);
    if CENTERED == 0u { sums.x = 0.0; }
    sweep(RESULT);
}
