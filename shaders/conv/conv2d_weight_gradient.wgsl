// out[k,o,t] = Σ over the places of chunk k of g[n,o,y,x] · (the image's element under tap t = (c,u,v); 1 for the last t, the bias).
// One workgroup per chunk and tile of 8 outputs × 8 taps; lanes walk the places, then four lanes per element add over the lanes.

override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
const LANES = 64u;
//!include lib/index.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    dilation_w: u32, chunk: u32, chunks: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override TAPS: u32 = KERNEL_H * KERNEL_W;
// Of one block of 4 × 4 at a time: what more shared memory would take from the cache is worth more there.
var<workgroup> partial: array<vec4<f32>, 256>;  // [output][lane]
var<workgroup> quarters: array<f32, LANES>;     // [quarter of the lanes][element]

fn pixel(plane: u32, row: i32, column: i32) -> f32 {
    if u32(row) < params.height && u32(column) < params.width {
        return x[plane + u32(row) * params.width + u32(column)];
    }
    return 0.0;
}

// Four taps: how far down and right in the window, and where their channel's plane starts in an image.
struct Taps { down: vec4<i32>, right: vec4<i32>, plane: vec4<u32>, is_bias: vec4<bool> }

fn taps_from(first: u32, count: u32) -> Taps {
    let t = first + vec4(0u, 1u, 2u, 3u);
    return Taps(
        vec4<i32>(t / KERNEL_W % KERNEL_H * params.dilation_h),
        vec4<i32>(t % KERNEL_W * params.dilation_w),
        min(t / TAPS, vec4(params.channels - 1u)) * params.height * params.width,
        t == vec4(count),
    );
}

fn seen_under(taps: Taps, image: u32, top: i32, left: i32) -> vec4<f32> {
    let row = top + taps.down;
    let column = left + taps.right;
    let at = image + taps.plane;
    return select(
        vec4(pixel(at.x, row.x, column.x), pixel(at.y, row.y, column.y), pixel(at.z, row.z, column.z), pixel(at.w, row.w, column.w)),
        vec4(1.0), taps.is_bias);
}

// The sum over the lanes of a 4 × 4 block, written by 16 lanes. Quads of lanes start apart, so that none meet in a bank.
fn store(lane: u32, sums: mat4x4<f32>, chunk: u32, first_output: u32, first_tap: u32, columns: u32) {
    for (var i = 0u; i < 4u; i++) { partial[i * LANES + lane] = sums[i]; }
    workgroupBarrier();
    let row = lane % 16u / 4u;
    let start = lane / 16u * 16u;
    var sum = 0.0;
    for (var l = 0u; l < 16u; l++) { sum += partial[row * LANES + start + (l + lane / 4u) % 16u][lane % 4u]; }
    quarters[lane] = sum;
    workgroupBarrier();
    let o = first_output + row;
    let t = first_tap + lane % 4u;
    if lane < 16u && chunk < params.chunks && o < params.outputs && t < columns {
        out[(chunk * params.outputs + o) * columns + t] = (sum + quarters[lane + 16u]) + (quarters[lane + 32u] + quarters[lane + 48u]);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let taps = params.channels * TAPS;
    let tap_tiles = taps / 8u + 1u;  // of taps + 1: the last one is the bias
    let output_tiles = (params.outputs + 7u) / 8u;
    let tile = flat_group(group, groups);
    let first_tap = tile % tap_tiles * 8u;
    let first_output = tile / tap_tiles % output_tiles * 8u;
    let chunk = tile / tap_tiles / output_tiles;

    let low = taps_from(first_tap, taps);
    let high = taps_from(first_tap + 4u, taps);
    let places = params.out_h * params.out_w;
    let o_low = min(first_output + vec4(0u, 1u, 2u, 3u), vec4(params.outputs - 1u)) * places;
    let o_high = min(first_output + vec4(4u, 5u, 6u, 7u), vec4(params.outputs - 1u)) * places;
    let begin = min(chunk, params.chunks - 1u) * params.chunk;
    let end = min(begin + params.chunk, params.batch * places);
    // Each block has a column per output; its name says which outputs and which taps.
    var low_low = mat4x4<f32>();
    var low_high = mat4x4<f32>();
    var high_low = mat4x4<f32>();
    var high_high = mat4x4<f32>();
    for (var position = begin + lane; position < end; position += LANES) {
        let place = position % places;
        let sample = position / places;
        let top = i32(place / params.out_w * params.stride_h) - i32(params.pad_h);
        let left = i32(place % params.out_w * params.stride_w) - i32(params.pad_w);
        let image = sample * params.channels * params.height * params.width;
        let seen_low = seen_under(low, image, top, left);
        let seen_high = seen_under(high, image, top, left);
        let from_low = sample * params.outputs * places + o_low + place;
        let from_high = sample * params.outputs * places + o_high + place;
        let g_low = vec4(g[from_low.x], g[from_low.y], g[from_low.z], g[from_low.w]);
        let g_high = vec4(g[from_high.x], g[from_high.y], g[from_high.z], g[from_high.w]);
        low_low += mat4x4(seen_low * g_low.x, seen_low * g_low.y, seen_low * g_low.z, seen_low * g_low.w);
        low_high += mat4x4(seen_high * g_low.x, seen_high * g_low.y, seen_high * g_low.z, seen_high * g_low.w);
        high_low += mat4x4(seen_low * g_high.x, seen_low * g_high.y, seen_low * g_high.z, seen_low * g_high.w);
        high_high += mat4x4(seen_high * g_high.x, seen_high * g_high.y, seen_high * g_high.z, seen_high * g_high.w);
    }
    store(lane, low_low, chunk, first_output, first_tap, taps + 1u);
    store(lane, low_high, chunk, first_output, first_tap + 4u, taps + 1u);
    store(lane, high_low, chunk, first_output + 4u, first_tap, taps + 1u);
    store(lane, high_high, chunk, first_output + 4u, first_tap + 4u, taps + 1u);
}
