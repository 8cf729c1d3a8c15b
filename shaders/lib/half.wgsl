// 16-bit floats by their bits, the same on every adapter: pack2x16float leaves rounding and overflow open.

// float32 → float16 in the lower half: to nearest, ties to even; above 65504 infinity; NaN stays NaN.
fn encode_float16(bits: u32) -> u32 {
    let negative = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if size > 0x7f800000u { return negative | 0x7e00u; }
    if size >= 0x477ff000u { return negative | 0x7c00u; }  // 65520 and more
    if size < 0x33000000u { return negative; }  // less than half of the smallest
    if size < 0x38800000u {
        // Below 2^-14 the step is 2^-24: the mantissa with its leading 1, shifted to units of that step.
        let shift = 126u - (size >> 23u);
        let mantissa = (size & 0x7fffffu) | 0x800000u;
        let half = (1u << (shift - 1u)) - 1u;
        return negative | ((mantissa + half + ((mantissa >> shift) & 1u)) >> shift);
    }
    return negative | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
}

// float16 in the lower half → float32.
fn decode_float16(half: u32) -> u32 {
    let negative = (half & 0x8000u) << 16u;
    let size = half & 0x7fffu;
    if size >= 0x7c00u { return negative | 0x7f800000u | ((size & 0x3ffu) << 13u); }
    if size < 0x400u { return negative | bitcast<u32>(f32(size) * 5.9604644775390625e-08); }
    return negative | ((size << 13u) + 0x38000000u);
}

// float32 → bfloat16 in the lower half: to nearest, ties to even; NaN stays NaN.
fn encode_bfloat16(bits: u32) -> u32 {
    if (bits & 0x7fffffffu) > 0x7f800000u { return (bits >> 16u) | 0x40u; }
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

// bfloat16 in the lower half → float32.
fn decode_bfloat16(half: u32) -> u32 { return half << 16u; }
