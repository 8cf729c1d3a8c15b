// out[..., i] = Σ_k weights[..., i, k] · (ORDER-th derivative of B_k on the knots of input i)(x[..., i]), over the functions not zero there.
// One invocation per point.

override WORKGROUP: u32 = 128;
override DEGREE: u32 = 3;
override ORDER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/knots.wgsl

struct Params { size: u32, inputs: u32, basis: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> knots: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    let place = place_of(x[i], i % params.inputs, params.basis);
    let b = knot_values(place, ORDER);
    let at = i * params.basis + place.span - DEGREE;
    var sum = 0.0;
    for (var r = 0u; r <= DEGREE; r++) { sum += b[r] * weights[at + r]; }
    out[i] = sum;
}
