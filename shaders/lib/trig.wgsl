// Sine, cosine and arctangent to one or two units in the last place at every argument; the built-in ones may be off by
// 2^-11 and lose all digits far from 0. The polynomials are those of the Cephes library (Moshier).
//!include lib/float.wgsl
//!include lib/multiply_wide.wgsl

// 2/π in binary, less two bits: 224 of them.
const TWO_OVER_PI = array<u32, 7>(
    0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);

struct Turn { rest: f32, quarter: u32 }

fn two_words(high: u32, low: u32, bits: u32) -> u32 {
    if bits == 0u { return high; }
    return (high << bits) | (low >> (32u - bits));
}

// x = rest + quarter·π/2, |rest| <= π/4, by multiplying with as many bits of 2/π as count (Payne and Hanek, Radian
// Reduction for Trigonometric Functions, 1983). The product mod 4 is kept in 64 bits, two of them before the point.
fn reduce_far(x: f32) -> Turn {
    let bits = bitcast<u32>(x);
    let mantissa = ((bits & 0x7fffffu) | 0x800000u) << 8u;
    let exponent = ((bits >> 23u) & 0xffu) - 126u;
    let word = exponent >> 5u;
    let shift = exponent & 31u;
    var table = TWO_OVER_PI;
    let before = select(table[max(word, 1u) - 1u], 0u, word == 0u);
    let high = two_words(before, table[word], shift);
    let middle = two_words(table[word], table[word + 1u], shift);
    let low = two_words(table[word + 1u], table[min(word + 2u, 6u)], shift);
    let last = multiply_wide(mantissa, low);
    let next = multiply_wide(mantissa, middle);
    var p_low = next.x + last.y;
    var p_high = mantissa * high + next.y + select(0u, 1u, p_low < next.x);
    var quarter = p_high >> 30u;
    p_high &= 0x3fffffffu;
    let above = (p_high & 0x20000000u) != 0u;  // a half or more: from the next quarter downwards
    if above {
        quarter += 1u;
        p_low = ~p_low + 1u;
        p_high = (0x40000000u - p_high) - select(0u, 1u, p_low != 0u);
    }
    let size = (f32(p_high) * 9.31322575e-10 + f32(p_low) * 2.16840434e-19) * 1.57079633;
    let back = x < 0.0;
    return Turn(select(size, -size, above != back), select(quarter, 0u - quarter, back) & 3u);
}

// The same; near 0 with π/2 in three parts, the first two short enough that a quarter's number times them is exact.
fn reduce_turn(x: f32) -> Turn {
    if abs(x) > 1024.0 { return reduce_far(x); }
    let k = round(x * 0.636619772);
    return Turn(((x - k * 1.5703125) - k * 4.8375129699707031e-4) - k * 7.54978995489188216e-8, bitcast<u32>(i32(k)) & 3u);
}

// sin(x + shift·π/2).
fn turned_sine(x: f32, shift: u32) -> f32 {
    if is_nan(x) || is_inf(x) { return nan(); }
    let turn = reduce_turn(x);
    let quarter = (turn.quarter + shift) & 3u;
    let r = turn.rest;
    let z = r * r;
    let sine = fma(r * z, fma(z, fma(z, -1.9515295891e-4, 8.3321608736e-3), -1.6666654611e-1), r);
    let cosine = fma(z * z, fma(z, fma(z, 2.443315711809948e-5, -1.388731625493765e-3), 4.166664568298827e-2), fma(z, -0.5, 1.0));
    let value = select(sine, cosine, (quarter & 1u) == 1u);
    return select(value, -value, quarter >= 2u);
}

fn accurate_sin(x: f32) -> f32 { return turned_sine(x, 0u); }
fn accurate_cos(x: f32) -> f32 { return turned_sine(x, 1u); }

// arctan x: beyond tan(3π/8) as π/2 - arctan(1/x), beyond tan(π/8) as π/4 + arctan((x - 1)/(x + 1)).
fn accurate_atan(x: f32) -> f32 {
    if is_nan(x) { return x; }
    var v = abs(x);
    var start = 0.0;
    if v > 2.41421356 {
        start = 1.57079633;
        v = select(-1.0 / v, 0.0, is_inf(v));
    } else if v > 0.414213562 {
        start = 0.785398163;
        v = (v - 1.0) / (v + 1.0);
    }
    let z = v * v;
    let size = start + fma(v * z, fma(z, fma(z, fma(z, 8.05374449538e-2, -1.38776856032e-1), 1.99777106478e-1), -3.33329491539e-1), v);
    return select(size, -size, x < 0.0);
}
