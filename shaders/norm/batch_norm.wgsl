// out = (x - mean) / √(variance + eps) · weight + bias, per channel of [N, C, L].
// One invocation per element.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT: u32 = 0;
override HAS_BIAS: u32 = 0;
//!include lib/index.wgsl

struct Params { size: u32, channels: u32, length: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    let c = i / params.length % params.channels;
    var y = (x[i] - mean[c]) * inverseSqrt(variance[c] + params.eps);
    if HAS_WEIGHT == 1u { y *= weight[c]; }
    if HAS_BIAS == 1u { y += bias[c]; }
    out[i] = y;
}
