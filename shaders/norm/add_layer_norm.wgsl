// sum = x + residual; out = (sum - μ) / √(σ² + eps) · weight + bias along each row; offset = μ - the row's first sum, rstd = 1 / √(σ² + eps).
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup, each row in registers where it fits: see lib/row.wgsl.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT: u32 = 0;
override HAS_BIAS: u32 = 0;
//!include lib/index.wgsl
//!include lib/row.wgsl
//!include lib/row_residual.wgsl
//!include lib/row_out.wgsl
//!include lib/row_weight.wgsl
//!include lib/row_bias.wgsl
//!include lib/layer_norm.wgsl

struct Params { rows: u32, cols: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> sum: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> offset: array<f32>;
@group(0) @binding(7) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

var<private> origin: f32;

fn load(k: u32) -> Cell { return read_sum(k) - origin; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let first_row = flat_group(group, groups) * (WORKGROUP / SEGMENT);
    stage_sum(first_row, index, params.rows);
    take_row(first_row, index, params.rows, params.cols);
    origin = sum_at(0u)[row_shift];
    normalize(lane);
    put_tile(first_row, index, params.rows);
    if row_at == 0u && row_cols > 0u {
        offset[first_row + index / SEGMENT] = mean;
        rstd[first_row + index / SEGMENT] = scale;
    }
}
