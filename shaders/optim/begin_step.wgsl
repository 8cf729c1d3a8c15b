// step += 1; norm = √Σ partials; rates = (lr, 1 - beta1^step, 1 - beta2^step, min(1, max_norm / (norm + 1e-6))).
// One workgroup.

override WORKGROUP: u32 = 256;
override HAS_NORM: bool = false;
override HAS_LIMIT: bool = false;
//!include lib/float.wgsl
//!include lib/reduce.wgsl

struct Params { blocks: u32, log_beta1: f32, log_beta2: f32, max_norm: f32 }

@group(0) @binding(0) var<storage, read_write> step: array<u32>;
@group(0) @binding(1) var<storage, read_write> rates: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read> lr: array<f32>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// 1 - e^x for x <= 0, by its series near 0, where the difference would lose its digits.
fn one_minus_exp(x: f32) -> f32 {
    if x < -0.5 { return 1.0 - exp(x); }
    var series = 1.0;
    for (var k = 11u; k > 1u; k--) { series = 1.0 + series * x / f32(k); }
    return -x * series;
}

@compute @workgroup_size(WORKGROUP)
fn main(lane: Lane) {
    var scale = 1.0;
    if HAS_NORM {
        var total = 0.0;
        for (var i = lane.index; i < params.blocks; i += WORKGROUP) { total += partials[i]; }
        let length = sqrt(workgroup_sum(lane, total));
        if HAS_LIMIT {
            scale = min(1.0, params.max_norm / (length + 1e-6));
            if is_nan(length) { scale = nan(); }
        }
        if lane.index == 0u { norm[0] = length; }
    }
    if lane.index != 0u { return; }
    let t = step[0] + 1u;
    step[0] = t;
    rates[0] = lr[0];
    rates[1] = one_minus_exp(params.log_beta1 * f32(t));
    rates[2] = one_minus_exp(params.log_beta2 * f32(t));
    rates[3] = scale;
}
