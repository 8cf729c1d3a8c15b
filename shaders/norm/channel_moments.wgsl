// offset[p, c] = μ - the channel's first element, squares[p, c] = Σ (x - μ)², μ the mean of part p of channel c of [N, C, L].
// One workgroup per COLS neighbouring channels of one part: its WORKGROUP / COLS rows of lanes stride over (N, L), once.

override WORKGROUP: u32 = 256;
override COLS: u32 = 32;
override VEC4: u32 = 0;  // 1: four neighbours along L at a time
//!include lib/index.wgsl
//!include lib/moments.wgsl

// Each channel has count = N·L elements, in parts of `chunk`; with VEC4, all of them and length in fours.
struct Params { channels: u32, length: u32, count: u32, chunk: u32, tiles: u32, total: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> offset: array<f32>;
@group(0) @binding(2) var<storage, read_write> squares: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> items: array<Moments, WORKGROUP>;

fn element(i: u32) -> f32 { return x[i / 4u][i % 4u]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let part = tile / params.tiles;
    let channel = tile % params.tiles * COLS + lane % COLS;
    let here = tile < params.total && channel < params.channels;
    var item = Moments(0.0, 0.0, 0.0);
    if here {
        let origin = element(channel * params.length * (1u + 3u * VEC4));
        let end = min((part + 1u) * params.chunk, params.count);
        for (var e = part * params.chunk + lane / COLS; e < end; e += WORKGROUP / COLS) {
            let i = (e / params.length * params.channels + channel) * params.length + e % params.length;
            if VEC4 == 1u { item = four_more(item, x[i] - origin); } else { item = one_more(item, element(i) - origin); }
        }
    }
    items[lane] = item;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { items[lane] = merge_moments(items[lane], items[lane + stride]); }
        workgroupBarrier();
    }
    if here && lane < COLS {
        offset[part * params.channels + channel] = items[lane].y;
        squares[part * params.channels + channel] = items[lane].z;
    }
}
