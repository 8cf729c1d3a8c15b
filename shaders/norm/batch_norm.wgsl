// out = (x - mean) / √(variance + eps) · weight + bias, per channel of [N, C, L].  RELATIVE: mean counts from the channel's first element.
// One invocation per element or per four neighbours: see lib/channels.wgsl.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT: u32 = 0;
override HAS_BIAS: u32 = 0;
override RELATIVE: u32 = 0;
//!include lib/index.wgsl
//!include lib/channels.wgsl

struct Params { total: u32, channels: u32, length: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> variance: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn mean_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return mean[c / 4u]; } return vec4(mean[c / 4u][c % 4u]); }
fn variance_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return variance[c / 4u]; } return vec4(variance[c / 4u][c % 4u]); }
fn weight_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return weight[c / 4u]; } return vec4(weight[c / 4u][c % 4u]); }
fn bias_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return bias[c / 4u]; } return vec4(bias[c / 4u][c % 4u]); }

fn x_at(i: u32) -> vec4<f32> { if VEC4 == 0u { return vec4(x[i / 4u][i % 4u]); } return x[i]; }

// The channel's first element.
fn origin_at(c: u32) -> vec4<f32> {
    if RELATIVE == 0u { return vec4(0.0); }
    if VEC4 == 2u { return x[c / 4u]; }
    let i = c * params.length;
    return vec4(x[i / 4u][i % 4u]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.total { return; }
    let c = channel_of(i, params.channels, params.length);
    var y = (x_at(i) - origin_at(c) - mean_at(c)) * inverseSqrt(variance_at(c) + params.eps);
    if HAS_WEIGHT == 1u { y *= weight_at(c); }
    if HAS_BIAS == 1u { y += bias_at(c); }
    put_channels(i, y);
}
