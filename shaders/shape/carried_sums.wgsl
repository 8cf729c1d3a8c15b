// out[i, c, k] = Σ updates[i, position, k] over the pairs at the start of chunk c that continue the index before the chunk.
// One invocation per UNIT elements of a chunk's row; chunks have 32 sorted pairs.

override WORKGROUP: u32 = 64;
override UNIT: u32 = 1;
//!include lib/index.wgsl
//!include lib/chain_sum.wgsl

struct Params { size: u32, count: u32, chunks: u32, inner: u32, zero: u32 }  // inner counts units

@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> updates: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let t = flat_group(group, groups) * WORKGROUP + lane;
    if t >= params.size { return; }
    let row = t / params.inner;
    let k = t - row * params.inner;
    let i = row / params.chunks;
    let start = (row - i * params.chunks) * CHUNK;
    var sum = Sum(vec4<f32>(0.0), vec4<f32>(0.0));
    if start > 0u {
        let before = pairs[start - 1u].x;
        for (var s = start; s < min(start + CHUNK, params.count); s++) {
            let pair = pairs[s];
            if pair.x != before { break; }
            sum = plus(sum, update_at((i * params.count + pair.y) * params.inner + k), params.zero);
        }
    }
    if UNIT == 4u { out[t] = sum.total; } else { out[t / 4u][t % 4u] = sum.total.x; }
}
