// out[c] = x[start + c·strides]: permuted, sliced or broadcast elements of any kind.  Strides may be negative or 0.
// One invocation per 16 bytes of the result.
//
// HALF 1: elements of 16 bits, two to a word.  WHOLE 1: runs along the last axis are whole aligned vec4s.
// Strides and start count modulo 2^32, which is how negative ones work.

override WORKGROUP: u32 = 256;
override HALF: u32 = 0;
override WHOLE: u32 = 0;
//!include lib/index.wgsl
//!include lib/walk.wgsl

struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    s_low: vec4<u32>, s_high: vec4<u32>,
    size: u32, start: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn sources(i: u32) -> vec4<u32> {
    return params.start + walk4(i, params.n_low, params.n_high, params.s_low, params.s_high);
}

fn word(j: u32) -> u32 { return x[j / 4u][j % 4u]; }
fn half(j: u32) -> u32 { return (word(j / 2u) >> (16u * (j % 2u))) & 0xffffu; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if q * (4u + 4u * HALF) >= params.size { return; }
    if WHOLE == 1u {
        out[q] = x[(params.start + walk(4u * q, params.n_low, params.n_high, params.s_low, params.s_high)) / 4u];
        return;
    }
    if HALF == 0u {
        let j = sources(4u * q);
        out[q] = vec4(word(j.x), word(j.y), word(j.z), word(j.w));
        return;
    }
    let j = sources(8u * q);
    let k = sources(8u * q + 4u);
    out[q] = vec4(half(j.x) | (half(j.y) << 16u), half(j.z) | (half(j.w) << 16u),
        half(k.x) | (half(k.y) << 16u), half(k.z) | (half(k.w) << 16u));
}
