// weight[o,t] = Σ_k partial[k,o,t] and bias[o] = Σ_k partial[k,o,last].
// One invocation per element; the chunks are added in order.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl

struct Params { outputs: u32, taps: u32, chunks: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let columns = params.taps + 1u;
    if i >= params.outputs * columns { return; }
    var sum = 0.0;
    for (var k = 0u; k < params.chunks; k++) { sum += partial[k * params.outputs * columns + i]; }
    let o = i / columns;
    let t = i % columns;
    if t == params.taps {
        bias[o] = sum;
    } else {
        weight[o * params.taps + t] = sum;
    }
}
