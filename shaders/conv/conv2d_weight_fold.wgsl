// weight[o,t] = Σ_k partial[k,o,t] and bias[o] = Σ_k partial[k,o,last].
// WALKERS invocations per element: each adds every WALKERS-th chunk in order, then the first one adds them up.

override WORKGROUP: u32 = 64;
override WALKERS: u32 = 1;
//!include lib/index.wgsl

struct Params { outputs: u32, taps: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP>;  // [walker][element]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let width = WORKGROUP / WALKERS;
    let i = flat_group(group, groups) * width + lane % width;
    let columns = params.taps + 1u;
    let size = params.outputs * columns;
    let exists = i < size;
    var sum = 0.0;
    if exists {
        var k = lane / width;
        // Four at a time, so that their reads overlap.
        for (; k + 3u * WALKERS < params.chunks; k += 4u * WALKERS) {
            let at = k * size + i;
            sum += (partial[at] + partial[at + WALKERS * size]) + (partial[at + 2u * WALKERS * size] + partial[at + 3u * WALKERS * size]);
        }
        for (; k < params.chunks; k += WALKERS) { sum += partial[k * size + i]; }
    }
    if WALKERS > 1u {
        sums[lane] = sum;
        workgroupBarrier();
        if lane >= width { return; }
        for (var w = 1u; w < WALKERS; w++) { sum += sums[w * width + lane]; }
    }
    if !exists { return; }
    let o = i / columns;
    let t = i % columns;
    if t == params.taps {
        bias[o] = sum;
    } else {
        weight[o * params.taps + t] = sum;
    }
}
