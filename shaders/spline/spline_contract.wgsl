// out[b,i] = Σ_k weights[b,i,k] · (ORDER-th derivative of B_k)(x[b,i]), over the functions not zero there.
// One invocation per point.

override WORKGROUP: u32 = 128;
override DEGREE: u32 = 3;
override ORDER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, size: u32, basis: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    let cell = cell_of(x[i], params.grid, params.knots);
    let b = spline_values(cell, ORDER, params.grid.z, 1.0);
    let at = i * params.basis + cell.first;
    var sum = 0.0;
    for (var r = 0u; r <= DEGREE; r++) { sum += b[r] * weights[at + r]; }
    out[i] = sum;
}
