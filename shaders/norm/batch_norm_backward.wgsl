// out = (g - Σg / n - z · Σ(g·z) / n) · rstd · weight, per channel of [N, C, L], z = (x - mean) · rstd.  HAS_SUMS 0: g · rstd · weight.
// One invocation per element.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT: u32 = 0;
override HAS_SUMS: u32 = 0;
//!include lib/index.wgsl

// count: n, the elements per channel
struct Params { size: u32, channels: u32, length: u32, count: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> weight_gradient: array<f32>;
@group(0) @binding(6) var<storage, read> bias_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    let c = i / params.length % params.channels;
    let scale = inverseSqrt(variance[c] + params.eps);
    var h = g[i];
    if HAS_SUMS == 1u {
        let z = (x[i] - mean[c]) * scale;
        h -= (bias_gradient[c] + z * weight_gradient[c]) / f32(params.count);
    }
    h *= scale;
    if HAS_WEIGHT == 1u { h *= weight[c]; }
    out[i] = h;
}
