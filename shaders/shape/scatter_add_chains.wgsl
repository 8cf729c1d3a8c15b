// x[i, indices[j], k] += updates[i, j, k], in place, over all j in their order; indices outside are dropped.
// One invocation per element of updates; the one at the first position of an index adds up its whole chain.
//
// The sum is compensated (Kahan), so that a chain of thousands, as of a padding token, costs no accuracy.
// `zero` is 0: without it, a compiler that may reorder sums would find the compensation to be 0 and drop it.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { size: u32, count: u32, along: u32, inner: u32, zero: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read> following: array<i32>;
@group(0) @binding(3) var<storage, read> first: array<i32>;
@group(0) @binding(4) var<storage, read> updates: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let t = flat_group(group, groups) * WORKGROUP + lane;
    if t >= params.size { return; }
    let k = t % params.inner;
    var j = (t / params.inner) % params.count;
    let i = t / (params.inner * params.count);
    if first[j] == 0 { return; }
    var index = indices[j];
    if index < 0 { index += i32(params.along); }
    let target_at = (i * params.along + u32(index)) * params.inner + k;
    var total = x[target_at];
    var lost = 0.0;
    for (var step = 0u; step < params.count; step++) {  // a chain has at most `count` links
        let value = updates[(i * params.count + j) * params.inner + k] - lost;
        let sum = bitcast<f32>(bitcast<u32>(total + value) ^ params.zero);
        lost = (sum - total) - value;
        total = sum;
        let next = following[j];
        if next < 0 { break; }
        j = u32(next);
    }
    x[target_at] = total;
}
