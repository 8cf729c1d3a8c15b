// out[i, j, k] = x[i, indices[j], k]; negative indices count from the end, those outside give `missing`.
// One invocation per 16 bytes of the result; elements of any kind.
//
// HALF 1: elements of 16 bits, two to a word.  WHOLE 1: the last axis is whole vec4s.

override WORKGROUP: u32 = 256;
override HALF: u32 = 0;
override WHOLE: u32 = 0;
//!include lib/index.wgsl

struct Params { size: u32, count: u32, along: u32, inner: u32, missing: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

struct Source { found: bool, at: u32 }

fn source(i: u32) -> Source {
    let k = min(i, params.size - 1u);
    let row = k / params.inner;
    var index = indices[row % params.count];
    if index < 0 { index += i32(params.along); }
    let found = index >= 0 && index < i32(params.along);
    return Source(found, ((row / params.count) * params.along + u32(max(index, 0))) * params.inner + k % params.inner);
}

fn element(i: u32) -> u32 {
    let place = source(i);
    if !place.found { return params.missing; }
    if HALF == 0u { return x[place.at / 4u][place.at % 4u]; }
    return (x[place.at / 8u][(place.at / 2u) % 4u] >> (16u * (place.at % 2u))) & 0xffffu;
}

fn word(w: u32) -> u32 {
    if HALF == 0u { return element(w); }
    return (element(2u * w) & 0xffffu) | (element(2u * w + 1u) << 16u);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if q * (4u + 4u * HALF) >= params.size { return; }
    if WHOLE == 1u {
        let place = source(4u * q);
        if place.found { out[q] = x[place.at / 4u]; } else { out[q] = vec4(params.missing); }
        return;
    }
    out[q] = vec4(word(4u * q), word(4u * q + 1u), word(4u * q + 2u), word(4u * q + 3u));
}
