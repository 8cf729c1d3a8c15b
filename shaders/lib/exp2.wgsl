// Powers of two and of e to one or two units in the last place; the built-in exp may be off by 2|x| of them.
//!include lib/float.wgsl

// 2^k·v without overflow of 2^k.
fn scale_by_power(v: f32, k: i32) -> f32 {
    let half = k / 2;
    return v * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(k - half + 127) << 23u);
}

// 2^x for |x| <= 0.5: a minimax fit of degree 6.
fn exp2_small(x: f32) -> f32 {
    return fma(x, fma(x, fma(x, fma(x, fma(x, fma(x, 0.00015345811, 0.00133999309), 0.00961848907), 0.0555032864), 0.240226462),
        0.693147182), 1.0);
}

// e^x = 2^n·2^f with n the whole part of x/ln 2; ln 2 in two parts, the first short enough that n times it is exact.
fn accurate_exp(x: f32) -> f32 {
    if is_nan(x) { return x; }
    if x > 89.0 { return infinity(); }
    if x < -104.0 { return 0.0; }
    let n = round(x * 1.44269504);
    let rest = (x - n * 0.693359375) + n * 0.000212194440;
    return scale_by_power(exp2_small(rest * 1.44269504), i32(n));
}
