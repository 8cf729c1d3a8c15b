// m = beta1·m + (1-beta1)·g; v = beta2·v + (1-beta2)·g²; theta -= lr·(m / (1-beta1^t)) / (√(v / (1-beta2^t)) + eps).
// One invocation per `per` vectors of four elements; t is one more than the steps that its workgroup has counted.

override WORKGROUP: u32 = 256;
override DECOUPLED: bool = false;   // weight decay on theta (AdamW) instead of in the gradient
override HAS_WEIGHT_DECAY: bool = false;
override HAS_DECAY: bool = false;
//!include lib/index.wgsl
//!include lib/gradient.wgsl

struct Params {
    vectors: u32, blocks: u32, per: u32, count: u32, beta1: f32, rest1: f32, beta2: f32, rest2: f32,  // rest = 1 - beta, rounded once
    log_beta1: f32, log_beta2: f32, eps: f32, weight_decay: f32, limit: f32, max_norm: f32,
}

@group(0) @binding(0) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read> lr: array<f32>;
@group(0) @binding(6) var<storage, read> partials: array<f32>;
@group(0) @binding(7) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(8) var<uniform> params: Params;

// 1 - e^x for x <= 0, by its series near 0, where the difference would lose its digits.
fn one_minus_exp(x: f32) -> f32 {
    if x < -0.5 { return 1.0 - exp(x); }
    return -x * fma(x, fma(x, fma(x, fma(x, fma(x, fma(x, fma(x, fma(x, 2.75573192e-6, 2.48015873e-5), 1.98412698e-4), 1.38888889e-3),
        8.33333333e-3), 4.16666667e-2), 0.166666667), 0.5), 1.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let t = steps[block] + 1u;
    let scale = norm_scale(lane, params.count, params.max_norm);
    let rate = lr[0];
    let pace = rate / one_minus_exp(params.log_beta1 * f32(t));
    let correction = 1.0 / one_minus_exp(params.log_beta2 * f32(t));
    for (var k = 0u; k < params.per; k++) {
        let i = vector_at(lane, block, params.per, k);
        if i >= params.vectors { break; }
        var g = clipped(gradient[i], scale, params.limit);
        var x = theta[i];
        if HAS_WEIGHT_DECAY {
            var strength = params.weight_decay;
            if HAS_DECAY { strength *= decay[i / 16u]; }
            if DECOUPLED { x *= 1.0 - rate * strength; } else { g += strength * x; }
        }
        let mean = params.beta1 * m[i] + params.rest1 * g;
        let square = params.beta2 * v[i] + (params.rest2 * g) * g;  // in this order g may reach 1e20
        m[i] = mean;
        v[i] = square;
        theta[i] = x - pace * mean / (sqrt(square * correction) + params.eps);
    }
    count_step(lane, block, t);
}
