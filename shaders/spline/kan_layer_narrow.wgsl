// out[b,j] = bias[j] + Σ_i scale[b,i] · Σ_k coefficients[j,i,k] · (ORDER-th derivative of B_k)(x[b,i]), for few samples.
// One workgroup per sample and OUTPUTS outputs; lanes walk the inputs and are added by a tree.

override WORKGROUP: u32 = 64;
override DEGREE: u32 = 3;
override ORDER: u32 = 0;
override HAS_BIAS: bool = false;
override HAS_SCALE: bool = false;
const OUTPUTS = 4u;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, basis: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let output_tiles = (params.outputs + OUTPUTS - 1u) / OUTPUTS;
    let tile = flat_group(group, groups);
    let first_output = tile % output_tiles * OUTPUTS;
    let sample = tile / output_tiles;
    let j = min(first_output + vec4(0u, 1u, 2u, 3u), vec4(params.outputs - 1u));
    var sums = vec4(0.0);
    for (var i = lane; i < params.inputs; i += WORKGROUP) {
        let point = min(sample, params.batch - 1u) * params.inputs + i;
        let cell = cell_of(x[point], params.grid, params.knots);
        var factor = 1.0;
        if HAS_SCALE { factor = scale[point]; }
        let b = spline_values(cell, ORDER, params.grid.z, factor);
        let at = (j * params.inputs + i) * params.basis + cell.first;
        for (var r = 0u; r <= DEGREE; r++) {
            sums += b[r] * vec4(coefficients[at.x + r], coefficients[at.y + r], coefficients[at.z + r], coefficients[at.w + r]);
        }
    }
    partial[lane] = sums;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if lane < stride { partial[lane] += partial[lane + stride]; }
        workgroupBarrier();
    }
    let column = first_output + lane;
    if lane < OUTPUTS && column < params.outputs && sample < params.batch {
        var total = partial[0][lane];
        if HAS_BIAS { total += bias[column]; }
        out[sample * params.outputs + column] = total;
    }
}
