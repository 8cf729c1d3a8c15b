// The normal distribution function, to about 4e-7 relative to the result down to its lower tail. WGSL has none.
// Φ(-v) = exp(-v²/2)·Q(t) for v >= 0 with t = (v - 3)/(v + 3): no branches, one exponential, which the density shares.
// Q is a minimax fit of this project against double precision (error 1.1e-8 on 0 <= v <= 15).

//!include lib/exp2.wgsl

// (exp(-v²/2), Φ(-v)). The rounding error of v² is put back: v² = h² + (v - h)(v + h), where h has 12 bits and h² is exact;
// ln 2 is in two parts, the first short enough that n times it is exact.
fn normal_tail(y: f32) -> vec2<f32> {
    let v = min(abs(y), 13.2);
    let t = (v - 3.0) / (v + 3.0);
    let q = fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, fma(t, 5.26764707e-05, 0.000114504626), -0.000338545971),
        -0.000982822385), 0.00290421373), 0.00613181107), -0.0462132357), 0.123225056), -0.206402615), 0.121513948);
    let h = bitcast<f32>(bitcast<u32>(v) & 0xfffff000u);
    let x = -0.5 * h * h;
    let n = round(x * 1.44269504);  // -126 and more
    let rest = fma(-0.5 * (v - h), v + h, (x - n * 0.693359375) + n * 0.000212194440);
    let e = exp2_small(rest * 1.44269504) * bitcast<f32>(u32(i32(n) + 127) << 23u);
    let density = select(e, 0.0, abs(y) > 13.2);  // there both are below the smallest normal float
    return vec2<f32>(density, density * q);
}

// Φ(x) = erfc(-x/√2)/2.
fn normal_cdf(x: f32) -> f32 {
    let tail = normal_tail(x).y;
    return select(tail, 1.0 - tail, x > 0.0);
}

// Φ(x) + x·φ(x), the derivative of x·Φ(x).
fn normal_gelu_slope(x: f32) -> f32 {
    let both = normal_tail(x);
    return fma(0.39894228 * x, both.x, select(both.y, 1.0 - both.y, x > 0.0));
}
