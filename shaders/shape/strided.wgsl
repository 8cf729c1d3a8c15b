// out[c] = x[start + c·strides]: permuted, sliced or broadcast elements of any kind.  Strides may be negative or 0.
// One invocation per 16 bytes of the result.
//
// HALF 1: elements of 16 bits, two to a word.  WHOLE 1: runs along the last axis are whole aligned vec4s.
// Strides and start count modulo 2^32, which is how negative ones work.

override WORKGROUP: u32 = 64;
override HALF: u32 = 0;
override WHOLE: u32 = 0;
//!include lib/index.wgsl
//!include lib/broadcast.wgsl

struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    s_low: vec4<u32>, s_high: vec4<u32>,
    size: u32, start: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn source(i: u32) -> u32 {
    return params.start + broadcast_offset(min(i, params.size - 1u), params.n_low, params.n_high, params.s_low, params.s_high);
}

fn element(i: u32) -> u32 {
    let j = source(i);
    if HALF == 0u { return x[j / 4u][j % 4u]; }
    return (x[j / 8u][(j / 2u) % 4u] >> (16u * (j % 2u))) & 0xffffu;
}

fn word(w: u32) -> u32 {
    if HALF == 0u { return element(w); }
    return element(2u * w) | (element(2u * w + 1u) << 16u);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if q * (4u + 4u * HALF) >= params.size { return; }
    if WHOLE == 1u { out[q] = x[source(4u * q) / 4u]; return; }
    out[q] = vec4(word(4u * q), word(4u * q + 1u), word(4u * q + 2u), word(4u * q + 3u));
}
