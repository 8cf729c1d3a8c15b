// out = (g - Σg / n - z · Σ(g·z) / n) · rstd · weight, per channel of [N, C, L], z = (x - mean) · rstd.  HAS_SUMS 0: g · rstd · weight.
// One invocation per element or per four neighbours: see lib/channels.wgsl.  RELATIVE: mean counts from the channel's first element.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT: u32 = 0;
override HAS_SUMS: u32 = 0;
override RELATIVE: u32 = 0;
//!include lib/index.wgsl
//!include lib/channels.wgsl

// count: n, the elements per channel
struct Params { total: u32, channels: u32, length: u32, count: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> variance: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> weight_gradient: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias_gradient: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

fn mean_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return mean[c / 4u]; } return vec4(mean[c / 4u][c % 4u]); }
fn variance_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return variance[c / 4u]; } return vec4(variance[c / 4u][c % 4u]); }
fn weight_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return weight[c / 4u]; } return vec4(weight[c / 4u][c % 4u]); }
fn g_sum_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return bias_gradient[c / 4u]; } return vec4(bias_gradient[c / 4u][c % 4u]); }
fn gz_sum_at(c: u32) -> vec4<f32> { if VEC4 == 2u { return weight_gradient[c / 4u]; } return vec4(weight_gradient[c / 4u][c % 4u]); }

fn g_at(i: u32) -> vec4<f32> { if VEC4 == 0u { return vec4(g[i / 4u][i % 4u]); } return g[i]; }
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
    let scale = inverseSqrt(variance_at(c) + params.eps);
    var h = g_at(i);
    if HAS_SUMS == 1u {
        let z = (x_at(i) - origin_at(c) - mean_at(c)) * scale;
        h -= (g_sum_at(c) + z * gz_sum_at(c)) / f32(params.count);
    }
    h *= scale;
    if HAS_WEIGHT == 1u { h *= weight_at(c); }
    put_channels(i, h);
}
