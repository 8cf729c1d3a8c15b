// out[b,i] = Σ_j g[b,j] · Σ_k coefficients[j,i,k] · (ORDER-th derivative of B_k)(x[b,i]); for ORDER > 0, zero outside the grid.
// One invocation per SAMPLES samples of one input; lanes are neighbouring inputs, so that their coefficients lie together.

override WORKGROUP: u32 = 64;
override DEGREE: u32 = 3;
override ORDER: u32 = 1;
const SAMPLES = 4u;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, basis: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let n = flat_group(group, groups) * WORKGROUP + lane;
    let i = n % params.inputs;
    let first_sample = n / params.inputs * SAMPLES;
    if first_sample >= params.batch { return; }
    var b: array<array<f32, 7>, SAMPLES>;
    var first: vec4<u32>;
    var sample: vec4<u32>;
    for (var s = 0u; s < SAMPLES; s++) {
        sample[s] = min(first_sample + s, params.batch - 1u);
        let cell = cell_of(x[sample[s] * params.inputs + i], params.grid, params.knots);
        first[s] = i * params.basis + cell.first;
        b[s] = spline_values(cell, ORDER, params.grid.z, 1.0);
    }
    var sums = vec4(0.0);
    for (var j = 0u; j < params.outputs; j++) {
        let at = j * params.inputs * params.basis + first;
        var slopes = vec4(0.0);
        for (var r = 0u; r <= DEGREE; r++) {
            slopes += vec4(b[0][r], b[1][r], b[2][r], b[3][r])
                * vec4(coefficients[at.x + r], coefficients[at.y + r], coefficients[at.z + r], coefficients[at.w + r]);
        }
        let from_here = sample * params.outputs + j;
        sums += slopes * vec4(g[from_here.x], g[from_here.y], g[from_here.z], g[from_here.w]);
    }
    for (var s = 0u; s < SAMPLES; s++) {
        if first_sample + s < params.batch { out[(first_sample + s) * params.inputs + i] = sums[s]; }
    }
}
