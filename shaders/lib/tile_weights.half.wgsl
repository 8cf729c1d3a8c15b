// lib/tile_weights.wgsl for a matrix of float16 on adapters with f16: elements are loaded as what they are.
override STORAGE: u32 = 1;  // as there; 1 here

alias Weights = mat2x4<f16>;  // 16 bytes: eight elements, four to a column

fn weights_low(w: Weights) -> vec4<f32> { return vec4<f32>(w[0]); }

fn weights_high(w: Weights) -> vec4<f32> { return vec4<f32>(w[1]); }

fn read_weights4(i: u32) -> vec4<f32> { return vec4<f32>(b[i >> 3u][(i >> 2u) & 1u]); }

fn read_weight(i: u32) -> f32 { return f32(b[i >> 3u][(i >> 2u) & 1u][i & 3u]); }
