// The losses of one element and their derivatives by the prediction. KIND: 0 squared, 1 absolute, 2 Huber,
// 3 binary cross-entropy of a logit.
//!include lib/float.wgsl
//!include lib/math.wgsl

override KIND: u32 = 0;

fn loss_value(x: f32, t: f32, delta: f32) -> f32 {
    let e = x - t;
    switch KIND {
        case 0u: { return e * e; }
        case 1u: { return abs(e); }
        case 2u: { return select(delta * (abs(e) - 0.5 * delta), 0.5 * e * e, abs(e) <= delta); }
        default: { return select(0.0, x, x > 0.0) - x * t + log1p_unit(exp(-abs(x))); }
    }
}

fn loss_slope(x: f32, t: f32, delta: f32) -> f32 {
    let e = x - t;
    switch KIND {
        case 0u: { return 2.0 * e; }
        case 1u: { return select(sign(e), e, is_nan(e)); }
        case 2u: { return select(sign(e) * delta, e, abs(e) <= delta || is_nan(e)); }
        default: { return stable_sigmoid(x) - t; }
    }
}

fn loss_curvature(x: f32, t: f32, delta: f32) -> f32 {
    switch KIND {
        case 0u: { return 2.0; }
        case 1u: { return 0.0; }
        case 2u: { return select(0.0, 1.0, abs(x - t) <= delta); }
        default: {
            let y = exp(-abs(x));
            return y / ((1.0 + y) * (1.0 + y));
        }
    }
}
