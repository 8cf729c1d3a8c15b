// Reads a matrix of f32, f16 or bf16 elements (constant STORAGE) from `b`, an array<Weights> of the including file.
// Indices count elements; read_weights4 wants a multiple of 4.
// f16 goes through unpack2x16float, one instruction on hardware: the translator's bitcast to vec2<f16> gives wrong values.
override STORAGE: u32 = 0;  // 0: f32; 1: f16; 2: bf16; the 16-bit ones two per u32

alias Weights = vec4<u32>;  // 16 bytes: four elements of f32, eight of 16 bits

fn weight_pair(word: u32) -> vec2<f32> {
    if STORAGE == 1u { return unpack2x16float(word); }
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

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
