// x[i, index, k] += Σ updates[i, position, k] over the pairs with this index, in place and in the order of the pairs.
// One invocation per UNIT elements of a pair's row; those at the first pair of an index work.
//
// It adds up the pairs of its own chunk of 32, and then what `carried_sums` found for each chunk that the index goes on in.

override WORKGROUP: u32 = 64;
override UNIT: u32 = 1;
//!include lib/index.wgsl
//!include lib/chain_sum.wgsl

struct Params { size: u32, count: u32, chunks: u32, inner: u32, along: u32, zero: u32 }  // inner counts units

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> updates: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> carried: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn carried_at(i: u32) -> vec4<f32> {
    if UNIT == 4u { return carried[i]; }
    return vec4<f32>(carried[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let t = flat_group(group, groups) * WORKGROUP + lane;
    if t >= params.size { return; }
    let row = t / params.inner;
    let k = t - row * params.inner;
    let i = row / params.count;
    let slot = row - i * params.count;
    let index = pairs[slot].x;
    if index >= params.along { return; }
    if slot > 0u { if pairs[slot - 1u].x == index { return; } }
    let at = (i * params.along + index) * params.inner + k;
    var sum = Sum(vec4<f32>(0.0), vec4<f32>(0.0));
    if UNIT == 4u { sum.total = x[at]; } else { sum.total.x = x[at / 4u][at % 4u]; }
    let first = slot / CHUNK;
    let end = min((first + 1u) * CHUNK, params.count);
    var goes_on = true;
    for (var s = slot; s < end; s++) {
        let pair = pairs[s];
        goes_on = pair.x == index;
        if !goes_on { break; }
        sum = plus(sum, update_at((i * params.count + pair.y) * params.inner + k), params.zero);
    }
    for (var c = first + 1u; goes_on && c < params.chunks; c++) {
        if pairs[c * CHUNK].x != index { break; }
        sum = plus(sum, carried_at((i * params.chunks + c) * params.inner + k), params.zero);
        goes_on = pairs[min((c + 1u) * CHUNK, params.count) - 1u].x == index;
    }
    if UNIT == 4u { x[at] = sum.total; } else { x[at / 4u][at % 4u] = sum.total.x; }
}
