// x^y by the rules of C, to a few units in the last place over the whole range.
// The exponent y·log2(x) is carried as a sum of exact products (halves of 12 bits), because its rounding error is
// multiplied by up to 128 in the result; exp2(y * log2(x)) would lose up to seven bits.
//!include lib/exp2.wgsl

fn upper_bits(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

// x^y for finite x > 0 (not 1) and finite y (not 0).
fn positive_power(x: f32, y: f32) -> f32 {
    // x = m·2^e with m in [√½, √2); numbers below the normal range are scaled up first.
    let small = x < 1.17549435e-38;
    let bits = bitcast<u32>(select(x, x * 16777216.0, small));
    var e = f32(i32(bits >> 23u) - select(127, 151, small));
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    if m > 1.41421354 { m *= 0.5; e += 1.0; }
    // log2(m) = C·(s + s³/3 + s⁵/5 + ...) with s = (m - 1)/(m + 1) and C = 2/ln 2; s as high + low.
    let f = m - 1.0;
    let n = m + 1.0;
    let s = f / n;
    let n_high = upper_bits(n);
    let n_low = m - (n_high - 1.0);
    let s_high = upper_bits(s);
    let s_low = ((f - s_high * n_high) - s_high * n_low) / n;
    let z = s * s;
    let tail = z * fma(z, fma(z, fma(z, fma(z, 0.0909090909, 0.111111111), 0.142857143), 0.2), 0.333333333);
    // C = 2.884765625 (12 bits) + 0.000624456778
    let first = 2.884765625 * s_high;
    let rest = 2.884765625 * s_low + 0.000624456778 * s + 2.88539008 * s * tail;
    let l = first + rest;
    let l_high = upper_bits(l);
    let l_low = (first - l_high) + rest;
    let estimate = y * (e + l);
    if estimate > 130.0 { return infinity(); }
    if estimate < -155.0 { return 0.0; }
    // y·(e + l): four exact products, their whole parts apart from their fractions.
    let y_high = upper_bits(y);
    let y_low = y - y_high;
    let p1 = y_high * e;
    let p2 = y_high * l_high;
    let p3 = y_low * e;
    let k1 = round(p1);
    let k2 = round(p2);
    let k3 = round(p3);
    let fraction = (((p1 - k1) + (p2 - k2)) + (p3 - k3)) + (y_low * l_high + y * l_low);
    let k4 = round(fraction);
    return scale_by_power(exp2_small(fraction - k4), i32(k1 + k2 + k3 + k4));
}

fn power(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 { return 1.0; }
    if is_nan(x) { return x; }
    if is_nan(y) { return y; }
    if y == 2.0 { return x * x; }
    let size = abs(x);
    if is_inf(y) {
        if size == 1.0 { return 1.0; }
        return select(0.0, infinity(), (size > 1.0) == (y > 0.0));
    }
    let whole = floor(y) == y;
    let odd = whole && abs(y) < 16777216.0 && (i32(abs(y)) & 1) == 1;
    var result: f32;
    if size == 0.0 || is_inf(x) {
        result = select(0.0, infinity(), (size == 0.0) == (y < 0.0));
    } else if x < 0.0 && !whole {
        return nan();
    } else if size == 1.0 {
        result = 1.0;
    } else {
        result = positive_power(size, y);
    }
    return select(result, -result, odd && (bitcast<u32>(x) >> 31u) == 1u);
}
