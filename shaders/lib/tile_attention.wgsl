// Attention's parameters, its reads and its masks. The including file has q, k, v: array<vec4<f32>>, mask: array<u32>,
// cache_length: array<i32> and `params`.
override CAUSAL: bool = false;
override MASK: u32 = 0;      // 0: none; 1: bool; 2: float, added to the scores
override LENGTHS: u32 = 0;   // cache_length: 0: none; 1: one for all; 2: one per batch entry
override VECTOR: bool = false;  // dim is a multiple of 4
override WHOLE: bool = false;   // dim fills the slices and the width of the tiles
//!include lib/index.wgsl
//!include lib/float.wgsl

const LOWEST = -3e38;   // the score of a masked key
const MASKED = -1e30;   // scores at or below count as masked
// Running maxima begin here: above LOWEST, so that a masked key weighs exp(LOWEST - BEGIN) = 0, below every other score.
const BEGIN = -1e38;

struct Params {
    mask_strides: vec4<u32>,  // over batch, head, query, key; 0 where broadcast
    batch: u32, heads: u32, kv_heads: u32, q_len: u32, k_len: u32, dim: u32, scale: f32,
}

fn read_q(at: u32, c: u32) -> vec4<f32> {
    if VECTOR { return q[(at + c) >> 2u]; }
    var four = vec4<f32>();
    for (var j = 0u; j < min(4u, params.dim - c); j++) { four[j] = q[(at + c + j) >> 2u][(at + c + j) & 3u]; }
    return four;
}

fn read_k(at: u32, c: u32) -> vec4<f32> {
    if VECTOR { return k[(at + c) >> 2u]; }
    var four = vec4<f32>();
    for (var j = 0u; j < min(4u, params.dim - c); j++) { four[j] = k[(at + c + j) >> 2u][(at + c + j) & 3u]; }
    return four;
}

fn read_v(at: u32, c: u32) -> vec4<f32> {
    if VECTOR { return v[(at + c) >> 2u]; }
    var four = vec4<f32>();
    for (var j = 0u; j < min(4u, params.dim - c); j++) { four[j] = v[(at + c + j) >> 2u][(at + c + j) & 3u]; }
    return four;
}

// Keys that hold values, of one batch entry.
fn valid_keys(batch: u32) -> u32 {
    if LENGTHS == 0u { return params.k_len; }
    let length = cache_length[select(0u, batch, LENGTHS == 2u)];
    return min(u32(max(length, 0)), params.k_len);
}

// The score of query i and key j from their product; LOWEST where it is masked. Queries are the last of the valid keys.
fn score(product: f32, batch: u32, head: u32, i: u32, j: u32, valid: u32) -> f32 {
    if i >= params.q_len || j >= valid { return LOWEST; }
    if CAUSAL && j + params.q_len > i + valid { return LOWEST; }
    var s = product * params.scale;
    if MASK != 0u {
        let word = mask[dot(vec4<u32>(batch, head, i, j), params.mask_strides)];
        if MASK == 1u && word == 0u { return LOWEST; }
        if MASK == 2u { s += bitcast<f32>(word); }
    }
    return select(s, LOWEST, s <= MASKED);
}

fn mask_word(batch: u32, head: u32, i: u32, j: u32) -> u32 { return mask[dot(vec4<u32>(batch, head, i, j), params.mask_strides)]; }

// The scores of four pairs of a query i and a key j at once.
fn four_scores(products: vec4<f32>, batch: u32, head: u32, i: vec4<u32>, j: vec4<u32>, valid: u32) -> vec4<f32> {
    var s = products * params.scale;
    var seen = (i < vec4<u32>(params.q_len)) & (j < vec4<u32>(valid));
    if CAUSAL { seen &= j + params.q_len <= i + valid; }
    if MASK != 0u {
        let word = vec4<u32>(
            mask_word(batch, head, i.x, j.x), mask_word(batch, head, i.y, j.y), mask_word(batch, head, i.z, j.z), mask_word(batch, head, i.w, j.w));
        if MASK == 1u { seen &= word != vec4<u32>(); }
        if MASK == 2u { s = fma(products, vec4<f32>(params.scale), bitcast<vec4<f32>>(word)); }
        s = select(s, vec4<f32>(LOWEST), s <= vec4<f32>(MASKED));
    }
    return select(vec4<f32>(LOWEST), s, seen);
}
