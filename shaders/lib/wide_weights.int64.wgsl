// lib/wide_weights.wgsl for adapters with 64-bit integers: 16 bytes as two elements, see lib/four.int64.wgsl.
//!include lib/weight_pair.wgsl

alias Weights = vec2<u64>;  // 16 bytes: four elements of f32, eight of 16 bits

// Elements i..i+3, i a multiple of 4.
fn read_weights4(i: u32) -> vec4<f32> {
    if STORAGE == 0u { return floats(b[i >> 2u]); }
    let eight = b[i >> 3u];
    let four = select(eight.x, eight.y, (i & 4u) != 0u);
    return vec4<f32>(weight_pair(u32(four)), weight_pair(u32(four >> 32u)));
}
