// Reads a matrix of f32, f16 or bf16 elements (constant STORAGE) from `b`, an array<Weights> of the including file.
// Indices count elements; read_weights4 wants a multiple of 4.
//!include lib/weight_pair.wgsl

alias Weights = vec4<u32>;  // 16 bytes: four elements of f32, eight of 16 bits

// The first four elements of one load; the last four of eight.
fn weights_low(w: Weights) -> vec4<f32> {
    if STORAGE == 0u { return bitcast<vec4<f32>>(w); }
    return vec4<f32>(weight_pair(w.x), weight_pair(w.y));
}

fn weights_high(w: Weights) -> vec4<f32> { return vec4<f32>(weight_pair(w.z), weight_pair(w.w)); }

fn read_weights4(i: u32) -> vec4<f32> {
    if STORAGE == 0u { return bitcast<vec4<f32>>(b[i >> 2u]); }
    let eight = b[i >> 3u];
    let four = select(eight.xy, eight.zw, (i & 4u) != 0u);
    return vec4<f32>(weight_pair(four.x), weight_pair(four.y));
}

fn read_weight(i: u32) -> f32 {
    if STORAGE == 0u { return bitcast<f32>(b[i >> 2u][i & 3u]); }
    return weight_pair(b[i >> 3u][(i >> 1u) & 3u])[i & 1u];
}
