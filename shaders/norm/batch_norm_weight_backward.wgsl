// weight_gradient[p, c] = Σ g · z, bias_gradient[p, c] = Σ g over part p of channel c of [N, C, L], z = (x - mean) / √(variance + eps).
// One workgroup per COLS neighbouring channels of one part, its WORKGROUP / COLS rows of lanes stride over (N, L).  RELATIVE: see batch_norm.

override WORKGROUP: u32 = 256;
override COLS: u32 = 32;
override VEC4: u32 = 0;  // 1: four neighbours along L at a time
override RELATIVE: u32 = 0;
//!include lib/index.wgsl

// Each channel has count = N·L elements, in parts of `chunk`; with VEC4, all of them and length in fours.
struct Params { channels: u32, length: u32, count: u32, chunk: u32, tiles: u32, total: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> bias_gradient: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> items: array<vec2<f32>, WORKGROUP>;

fn element(i: u32) -> vec2<f32> { return vec2(g[i / 4u][i % 4u], x[i / 4u][i % 4u]); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let part = tile / params.tiles;
    let channel = tile % params.tiles * COLS + lane % COLS;
    let here = tile < params.total && channel < params.channels;
    var sums = vec2(0.0, 0.0);
    if here {
        var origin = 0.0;
        if RELATIVE == 1u { origin = element(channel * params.length * (1u + 3u * VEC4)).y; }
        let center = mean[channel];
        let scale = inverseSqrt(variance[channel] + params.eps);
        let end = min((part + 1u) * params.chunk, params.count);
        for (var e = part * params.chunk + lane / COLS; e < end; e += WORKGROUP / COLS) {
            let i = (e / params.length * params.channels + channel) * params.length + e % params.length;
            if VEC4 == 1u {
                let h = g[i];
                sums += vec2(dot(h, (x[i] - origin - center) * scale), (h.x + h.y) + (h.z + h.w));
            } else {
                let both = element(i);
                sums += vec2(both.x * ((both.y - origin - center) * scale), both.x);
            }
        }
    }
    items[lane] = sums;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { items[lane] += items[lane + stride]; }
        workgroupBarrier();
    }
    if here && lane < COLS {
        weight_gradient[part * params.channels + channel] = items[lane].x;
        bias_gradient[part * params.channels + channel] = items[lane].y;
    }
}
