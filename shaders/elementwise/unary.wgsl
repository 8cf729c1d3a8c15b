// out = OP(x), elementwise; clip and leaky_relu take numbers.  OP is a constant, in the order of kernels_ref.elementwise.UNARY.
// One invocation per four elements.

override WORKGROUP: u32 = 256;
override OP: u32;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/math.wgsl
//!include lib/exp2.wgsl
//!include lib/erf.wgsl
//!include lib/trig.wgsl

struct Params { size: u32, low: f32, high: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn apply(v: f32) -> f32 {
    switch OP {
        case 0u: { return -v; }
        case 1u: { return abs(v); }
        case 2u: { return accurate_exp(v); }
        case 3u: { return accurate_log(v); }
        case 4u: { return sqrt(v); }
        case 5u: { return inverseSqrt(v); }
        case 6u: { return select(sign(v), v, is_nan(v)); }
        case 7u: { return stable_tanh(v); }
        case 8u: { return stable_sigmoid(v); }
        case 9u: { return select(0.0, v, v > 0.0 || is_nan(v)); }
        case 10u: { return v * stable_sigmoid(v); }
        case 11u: { return stable_softplus(v); }
        case 12u: { return v * normal_cdf(v); }
        case 13u: { return v * stable_sigmoid(1.59576912 * v * (1.0 + 0.044715 * v * v)); }  // (1 + tanh u)/2 is sigmoid(2u)
        case 14u: { return select(v, params.low * v, v < 0.0); }
        case 15u: { return accurate_sin(v); }
        case 16u: { return accurate_cos(v); }
        case 17u: { return accurate_atan(v); }
        default: { return select(select(select(v, params.low, v < params.low), params.high, max(v, params.low) > params.high), v, is_nan(v)); }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    let v = x[q];
    out[q] = vec4(apply(v.x), apply(v.y), apply(v.z), apply(v.w));
}
