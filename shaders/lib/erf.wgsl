// The error function, to about 1e-7 relative to the result. WGSL has none.
// |x| < 1: x·P(x²). Above: erfc(x) = exp(-x²)·R(t)/(1 + 2x) with t = (x - 2)/(x + 2), where R is nearly constant.
// P and R are minimax fits of this project against double precision (errors 1.2e-9 and 1.3e-9).
//!include lib/exp2.wgsl
//!include lib/float.wgsl

fn erf_small(x: f32) -> f32 {
    let z = x * x;
    return x * fma(z, fma(z, fma(z, fma(z, fma(z, fma(z, 7.85386073e-05, -0.000801019371), 0.00518832775), -0.0268538129),
        0.112835854), -0.37612626), 1.12837911);
}

// exp(-x²·scale) with the rounding error of x² put back: x² = h² + (x - h)(x + h), where h has 12 bits and h² is exact.
fn exp_minus_square(x: f32, scale: f32) -> f32 {
    let h = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
    return accurate_exp(-h * h * scale) * accurate_exp(-(x - h) * (x + h) * scale);
}

// (1 - erf(x))/exp(-x²) for x >= 1, to 11.
fn erfc_scaled(x: f32) -> f32 {
    let t = (x - 2.0) / (x + 2.0);
    let r = fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, -0.00149735436, 0.00108513096), 0.00876972266), -0.00801004376),
        -0.0542266332), 0.164050117), -0.166030139), -0.0927638113), 1.27697837);
    return r / fma(2.0, x, 1.0);
}

fn erf(x: f32) -> f32 {
    let v = abs(x);
    if v < 1.0 { return erf_small(x); }
    let w = min(v, 10.5);  // erfc(10.5) is below the smallest float
    return sign(x) * (1.0 - erfc_scaled(w) * exp_minus_square(w, 1.0));
}

// The normal distribution function, erfc(-x/√2)/2: accurate in its lower tail too, where x²/2 is taken from x itself.
fn normal_cdf(x: f32) -> f32 {
    let z = x * 0.707106781;
    if abs(z) < 1.0 { return 0.5 + 0.5 * erf_small(z); }
    let v = min(abs(x), 14.8);
    let tail = 0.5 * erfc_scaled(v * 0.707106781) * exp_minus_square(v, 0.5);
    return select(tail, 1.0 - tail, z > 0.0);
}
