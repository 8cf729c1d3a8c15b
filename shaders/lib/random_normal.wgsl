// Two independent normal numbers from two random words, by Box and Muller, with our own logarithm, sine and cosine:
// WGSL allows the built-in ones absolute errors of 2^-21 and 2^-11, far above f32 rounding.

// ln(u) for u in (0, 1]: u = m·2^e with m in [√½, √2), ln m = 2·artanh((m - 1)/(m + 1)).
fn accurate_log(u: f32) -> f32 {
    let bits = bitcast<u32>(u) - 0x3f3504f3u;  // so that the exponent field changes at √½
    let e = bitcast<i32>(bits) >> 23u;
    let m = bitcast<f32>((bits & 0x7fffffu) + 0x3f3504f3u);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (0.33333334 + z * (0.2 + z * (0.14285715 + z * (0.11111111 + z * 0.09090909))));
    return f32(e) * 0.6931472 + 2.0 * s * series;
}

// (cos, sin) of 2π·turn for turn in [0, 1): quarter turns are taken off exactly, the rest by Taylor series.
fn cos_sin_turns(turn: f32) -> vec2<f32> {
    let quarter = floor(turn * 4.0 + 0.5);
    let x = (turn * 4.0 - quarter) * 1.5707964;
    let z = x * x;
    let sine = x * (1.0 + z * (-0.16666667 + z * (0.008333334 + z * (-0.0001984127 + z * 2.7557319e-6))));
    let cosine = 1.0 + z * (-0.5 + z * (0.041666668 + z * (-0.0013888889 + z * (2.4801588e-5 - z * 2.7557319e-7))));
    switch u32(quarter) & 3u {
        case 0u: { return vec2<f32>(cosine, sine); }
        case 1u: { return vec2<f32>(-sine, cosine); }
        case 2u: { return vec2<f32>(-cosine, -sine); }
        default: { return vec2<f32>(sine, -cosine); }
    }
}

// u = (upper 24 bits + 1) / 2^24 is in (0, 1], so the logarithm is finite.
fn box_muller(words: vec2<u32>) -> vec2<f32> {
    let u = f32((words.x >> 8u) + 1u) * 5.9604644775390625e-8;
    let turn = f32(words.y >> 8u) * 5.9604644775390625e-8;
    return sqrt(max(-2.0 * accurate_log(u), 0.0)) * cos_sin_turns(turn);
}
