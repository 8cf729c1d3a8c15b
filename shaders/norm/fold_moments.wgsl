// offset = μ - the first element, mean = μ, variance = Σ (x - μ)² / divisor of each channel of [N, C, L], from those of its parts.
// One workgroup per channel; its lanes stride over the parts.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl
//!include lib/moments.wgsl

// Each channel has `count` elements in `parts` parts of `chunk`, the last one what is left.
struct Params { channels: u32, length: u32, count: u32, chunk: u32, parts: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> offsets: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>;
@group(0) @binding(3) var<storage, read_write> offset: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> variance: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> items: array<Moments, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let channel = flat_group(group, groups);
    var item = Moments(0.0, 0.0, 0.0);
    if channel < params.channels {
        for (var p = lane; p < params.parts; p += WORKGROUP) {
            let i = p * params.channels + channel;
            let count = min(params.chunk, params.count - p * params.chunk);
            item = merge_moments(item, Moments(f32(count), offsets[i], squares[i]));
        }
    }
    items[lane] = item;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if lane < stride { items[lane] = merge_moments(items[lane], items[lane + stride]); }
        workgroupBarrier();
    }
    if lane == 0u && channel < params.channels {
        offset[channel] = items[0].y;
        mean[channel] = items[0].y + x[channel * params.length];
        variance[channel] = items[0].z / params.divisor;
    }
}
