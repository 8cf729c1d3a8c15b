// running_mean = (1 - momentum) · running_mean + momentum · mean; running_var the same with variance · unbiased.
// One invocation per channel.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl

// unbiased: n / (n - 1), 1 for a single element per channel
struct Params { channels: u32, momentum: f32, unbiased: f32 }

@group(0) @binding(0) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(1) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let c = flat_group(group, groups) * WORKGROUP + lane;
    if c >= params.channels { return; }
    running_mean[c] += params.momentum * (mean[c] - running_mean[c]);
    running_var[c] += params.momentum * (variance[c] * params.unbiased - running_var[c]);
}
