// Adam over a workgroup's stretch of the flat tensors; t is one more than the steps that it has counted.
override DECOUPLED: bool = false;   // weight decay on theta (AdamW) instead of in the gradient
override HAS_WEIGHT_DECAY: bool = false;
override HAS_DECAY: bool = false;
//!include lib/index.wgsl
//!include lib/gradient.wgsl

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
    let here = stretch_of(block);
    let t = steps[block] + 1u;
    let scale = norm_scale(lane, params.count, params.max_norm);
    let rate = lr[0];
    let pace = rate / one_minus_exp(params.log_beta1 * f32(t));
    let correction = 1.0 / one_minus_exp(params.log_beta2 * f32(t));
    for (var k = 0u; k < per_lane(); k++) {
        let i = vector_at(lane, k);
        if 4u * i >= here.count { break; }
        let at = here.at + i;
        var x = theta[at];
        let old_mean = m[at];
        let old_square = v[at];
        var g = clipped(gradient_at(here, i), scale, params.limit);
        if HAS_WEIGHT_DECAY {
            var strength = params.weight_decay;
            if HAS_DECAY { strength *= decay[at / 16u]; }
            if DECOUPLED { x *= 1.0 - rate * strength; } else { g += strength * x; }
        }
        let mean = params.beta1 * old_mean + params.rest1 * g;
        let square = params.beta2 * old_square + (params.rest2 * g) * g;  // in this order g may reach 1e20
        m[at] = mean;
        v[at] = square;
        theta[at] = x - pace * mean / (sqrt(square * correction) + params.eps);
    }
    count_step(lane, block, t);
}
