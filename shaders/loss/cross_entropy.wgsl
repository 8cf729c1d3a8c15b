// loss[n] = ln Σ e^(x_n) - x_n[label_n]; out[n] = (softmax(x_n) - onehot(label_n)) · scale, its gradient. A bad label gives NaN.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup, each row in registers where it fits: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override LOG: u32 = 0;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_x.wgsl
//!include lib/row_out.wgsl
//!include lib/softmax.wgsl

struct Params { rows: u32, cols: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

var<private> label: u32;

fn load(k: u32) -> Cell { return select(vec4(-infinity()), read_x(k), inside(k)); }

fn result(k: u32, cell: Cell) -> vec4<f32> {
    let hit = vec4(column(k)) + vec4(0u, 1u, 2u, 3u) == vec4(label);
    let y = (share(cell) - select(vec4(0.0), vec4(1.0), hit)) * params.scale;
    return select(vec4(nan()), y, label < params.cols);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_row = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    let row = first_row + index / SEGMENT;
    stage_x(first_row, index, params.rows);
    take_row(first_row, index, params.rows, params.cols);
    label = bitcast<u32>(labels[min(row, params.rows - 1u)]);  // negative ones become large
    softmax_row(lane);
    if row_at == 0u && row < params.rows {
        let valid = label < params.cols;
        let i = row_first + select(0u, label, valid);
        loss[row] = select(nan(), log(total) - (x[i / 4u][i % 4u] - top), valid);
    }
    put_tile(first_row, index, params.rows);
}
