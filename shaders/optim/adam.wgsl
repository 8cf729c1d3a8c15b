// m = beta1·m + (1-beta1)·g; v = beta2·v + (1-beta2)·g²; theta -= lr·(m / rates[1]) / (√(v / rates[2]) + eps).
// One invocation per four elements.

override WORKGROUP: u32 = 256;
override DECOUPLED: bool = false;   // weight decay on theta (AdamW) instead of in the gradient
override HAS_WEIGHT_DECAY: bool = false;
override HAS_DECAY: bool = false;
//!include lib/index.wgsl
//!include lib/gradient.wgsl

struct Params {
    vectors: u32, beta1: f32, rest1: f32, beta2: f32, rest2: f32,  // rest = 1 - beta, rounded once
    eps: f32, weight_decay: f32, limit: f32,
}

@group(0) @binding(0) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> rates: vec4<f32>;  // lr, 1 - beta1^t, 1 - beta2^t, scale of the gradient
@group(0) @binding(5) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.vectors { return; }
    var g = clipped(gradient[i], rates.w, params.limit);
    var x = theta[i];
    if HAS_WEIGHT_DECAY {
        var strength = params.weight_decay;
        if HAS_DECAY { strength *= decay[i / 16u]; }
        if DECOUPLED { x *= 1.0 - rates.x * strength; } else { g += strength * x; }
    }
    let mean = params.beta1 * m[i] + params.rest1 * g;
    let square = params.beta2 * v[i] + (params.rest2 * g) * g;  // in this order g may reach 1e20
    m[i] = mean;
    v[i] = square;
    theta[i] = x - (rates.x / rates.y) * mean / (sqrt(square / rates.z) + params.eps);
}
