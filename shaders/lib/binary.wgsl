// OP on two elements given and returned as bits. The including file has the overrides OP and DTYPE:
// OP in the order of kernels_ref.elementwise.BINARY; DTYPE 0: f32, 1: i32, 2: u32 (and bool).
//!include lib/float.wgsl
//!include lib/power.wgsl

fn pack_bool(value: bool) -> u32 { return select(0u, 1u, value); }

fn apply_f32(x: f32, y: f32) -> u32 {
    switch OP {
        case 0u: { return bitcast<u32>(x + y); }
        case 1u: { return bitcast<u32>(x - y); }
        case 2u: { return bitcast<u32>(x * y); }
        case 3u: { return bitcast<u32>(x / y); }
        case 4u: { return bitcast<u32>(power(x, y)); }
        case 5u: { return bitcast<u32>(select(select(y, x, x < y || is_nan(x)), y, is_nan(y))); }
        case 6u: { return bitcast<u32>(select(select(y, x, x > y || is_nan(x)), y, is_nan(y))); }
        case 7u: { return pack_bool(x == y && !is_nan(x) && !is_nan(y)); }
        case 8u: { return pack_bool(x != y || is_nan(x) || is_nan(y)); }
        case 9u: { return pack_bool(x < y); }
        case 10u: { return pack_bool(x <= y); }
        case 11u: { return pack_bool(x > y); }
        case 12u: { return pack_bool(x >= y); }
        default: { return bitcast<u32>(select(0.0, 0.5, x >= y) + select(0.0, 0.5, x > y)); }
    }
}

fn apply_i32(x: i32, y: i32) -> u32 {
    switch OP {
        case 0u: { return bitcast<u32>(x + y); }
        case 1u: { return bitcast<u32>(x - y); }
        case 2u: { return bitcast<u32>(x * y); }
        case 5u: { return bitcast<u32>(min(x, y)); }
        case 6u: { return bitcast<u32>(max(x, y)); }
        case 7u: { return pack_bool(x == y); }
        case 8u: { return pack_bool(x != y); }
        case 9u: { return pack_bool(x < y); }
        case 10u: { return pack_bool(x <= y); }
        case 11u: { return pack_bool(x > y); }
        default: { return pack_bool(x >= y); }
    }
}

fn apply_u32(x: u32, y: u32) -> u32 {
    switch OP {
        case 5u: { return min(x, y); }
        case 6u: { return max(x, y); }
        case 9u: { return pack_bool(x < y); }
        case 10u: { return pack_bool(x <= y); }
        case 11u: { return pack_bool(x > y); }
        case 12u: { return pack_bool(x >= y); }
        default: { return apply_i32(bitcast<i32>(x), bitcast<i32>(y)); }  // the same bits for both
    }
}

fn apply(x: u32, y: u32) -> u32 {
    switch DTYPE {
        case 0u: { return apply_f32(bitcast<f32>(x), bitcast<f32>(y)); }
        case 1u: { return apply_i32(bitcast<i32>(x), bitcast<i32>(y)); }
        default: { return apply_u32(x, y); }
    }
}

fn apply4(x: vec4<u32>, y: vec4<u32>) -> vec4<u32> {
    return vec4(apply(x.x, y.x), apply(x.y, y.y), apply(x.z, y.z), apply(x.w, y.w));
}
