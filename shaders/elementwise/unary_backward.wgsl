// out = g·OP'(x), the gradient through an elementwise function; t is x or OP(x), whichever the derivative is simpler in.
// One invocation per four elements.  OP is a constant, in the order of kernels_ref.elementwise.UNARY_BACKWARD.

override WORKGROUP: u32 = 256;
override OP: u32;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/math.wgsl
//!include lib/erf.wgsl

struct Params { size: u32, low: f32, high: f32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> t: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn derivative(v: f32) -> f32 {
    switch OP {
        case 0u: { return sign(v); }                            // abs
        case 1u: { return 0.5 / v; }                            // sqrt, of y
        case 2u: { return 1.0 - v * v; }                        // tanh, of y
        case 3u: { return v * (1.0 - v); }                      // sigmoid, of y
        case 4u: { return select(0.0, 1.0, v > 0.0); }          // relu
        case 5u: {                                              // silu
            let s = stable_sigmoid(v);
            return s * (1.0 + v * (1.0 - s));
        }
        case 6u: { return stable_sigmoid(v); }                  // softplus
        case 7u: { return normal_gelu_slope(v); }               // gelu
        case 8u: {                                              // gelu_tanh
            let s = stable_sigmoid(1.59576912 * v * (1.0 + 0.044715 * v * v));
            return s + v * s * (1.0 - s) * 1.59576912 * (1.0 + 0.134145 * v * v);
        }
        case 9u: { return select(1.0, params.low, v < 0.0); }   // leaky_relu
        case 10u: { return select(0.0, 1.0, v >= params.low && v <= params.high); }  // clip
        default: { return -0.5 * v * v * v; }                   // rsqrt, of y
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    let v = t[q];
    out[q] = g[q] * vec4(derivative(v.x), derivative(v.y), derivative(v.z), derivative(v.w));
}
