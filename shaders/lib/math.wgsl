// Functions that the built-in ones do not give safely: no overflow to NaN, full accuracy near zero.
//!include lib/float.wgsl

// |x| < 0.625: x + x³·P(x²), a minimax fit; above: 1 - 2/(e^2|x| + 1), where e^2|x| is kept below overflow.
fn stable_tanh(x: f32) -> f32 {
    let v = abs(x);
    if v < 0.625 {
        let z = x * x;
        return fma(x * z, fma(z, fma(z, fma(z, fma(z, -0.00611319346, 0.0210100822), -0.0538540706), 0.133327946), -0.333333284), x);
    }
    if is_nan(x) { return x; }
    return sign(x) * (1.0 - 2.0 / (exp(2.0 * min(v, 10.0)) + 1.0));
}

// 1/(1 + e^-x); the exponential is of -|x|, which cannot overflow.
fn stable_sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// ln(1 + e) for 0 <= e <= 1, as 2·artanh(e/(2 + e)): exact for tiny e, where 1 + e is 1.
fn log1p_unit(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let z = s * s;
    return 2.0 * s * fma(z, fma(z, fma(z, fma(z, fma(z, fma(z, fma(z, 0.0666666667, 0.0769230769), 0.0909090909), 0.111111111),
        0.142857143), 0.2), 0.333333333), 1.0);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
fn stable_softplus(x: f32) -> f32 {
    if is_nan(x) { return x; }
    return max(x, 0.0) + log1p_unit(exp(-abs(x)));
}

// ln x = e·ln 2 + ln m with m in [√½, √2) and ln m = 2·artanh((m - 1)/(m + 1)): accurate near 1 too, where the built-in
// logarithm may be off by 2^-21.
fn accurate_log(x: f32) -> f32 {
    if is_nan(x) || x == infinity() { return x; }
    if x <= 0.0 { return select(nan(), -infinity(), x == 0.0); }
    let small = x < 1.17549435e-38;
    let bits = bitcast<u32>(select(x, x * 16777216.0, small));
    var e = f32(i32(bits >> 23u) - select(127, 151, small));
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    if m > 1.41421354 { m *= 0.5; e += 1.0; }
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let tail = s * z * fma(z, fma(z, fma(z, fma(z, 0.181818182, 0.222222222), 0.285714286), 0.4), 0.666666667);
    // ln 2 in two parts, the first short enough that e times it is exact
    return e * 0.693359375 + (2.0 * s + (tail - e * 0.000212194440));
}
