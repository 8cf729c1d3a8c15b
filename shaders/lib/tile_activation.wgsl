// The function applied to a finished element of a matrix product, by the constant ACTIVATION.
override ACTIVATION: u32 = 0;  // 0: none; 1: relu; 2: gelu; 3: gelu by tanh; 4: silu; 5: sigmoid; 6: tanh
//!include lib/float.wgsl
//!include lib/erf.wgsl
//!include lib/math.wgsl

// The products below would be -infinity · 0 far on the negative side, where the limit is 0.
fn activate(x: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(max(x, 0.0), x, is_nan(x)); }
        case 2u: { return select(x * normal_cdf(x), 0.0, x < -20.0); }
        case 3u: { return select(x * stable_sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)), 0.0, x < -20.0); }
        case 4u: { return select(x * stable_sigmoid(x), 0.0, x < -200.0); }
        case 5u: { return stable_sigmoid(x); }
        case 6u: { return stable_tanh(x); }
        default: { return x; }
    }
}
