// out[n,c,i,j] = Σ_ouv weight[o,c,u,v] · g[n,o,y,x] over the places (y, x) with y·stride − pad + u·dilation = i, likewise x and j.
// One invocation per POSITIONS elements of the image and eight channels; gathers, so the order of the sum is fixed.

override WORKGROUP: u32 = 64;
override POSITIONS: u32 = 2;  // 1 to 4
override STRIDED: bool = true;  // false: both strides are 1, and the divisions are gone
//!include lib/index.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, kernel_h: u32, kernel_w: u32, out_h: u32,
    out_w: u32, stride_h: u32, stride_w: u32, pad_h: u32,
    pad_w: u32, dilation_h: u32, dilation_w: u32, channel_tiles: u32,
}

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// An element of the padded image and the first output map of its sample.
struct Pixel { maps: u32, row: i32, column: i32 }

fn pixel_at(position: u32) -> Pixel {
    let plane = params.height * params.width;
    let sample = position / plane;
    let place = position % plane;
    return Pixel(
        min(sample, params.batch - 1u) * params.outputs * params.out_h * params.out_w,
        select(-1, i32(place / params.width + params.pad_h), sample < params.batch),
        i32(place % params.width + params.pad_w),
    );
}

const NOWHERE = 0xffffffffu;

// Which window has its tap (down, right) on this pixel: the window's place in g, or NOWHERE.
fn place_of(pixel: Pixel, down: i32, right: i32) -> u32 {
    let row = pixel.row - down;
    let column = pixel.column - right;
    if row < 0 || column < 0 { return NOWHERE; }
    var y = u32(row);
    var x = u32(column);
    var hits = true;
    if STRIDED {
        y /= params.stride_h;
        x /= params.stride_w;
        hits = y * params.stride_h == u32(row) && x * params.stride_w == u32(column);
    }
    hits = hits && y < params.out_h && x < params.out_w;
    return select(NOWHERE, pixel.maps + y * params.out_w + x, hits);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_channel = (tile % params.channel_tiles) * 8u;
    let first = (tile / params.channel_tiles) * WORKGROUP * POSITIONS + lane;
    let plane = params.height * params.width;
    if first >= params.batch * plane { return; }
    var pixels: array<Pixel, 4>;
    for (var p = 0u; p < POSITIONS; p++) { pixels[p] = pixel_at(first + p * WORKGROUP); }

    let window = params.kernel_h * params.kernel_w;
    let places = params.out_h * params.out_w;
    let rows_low = min(first_channel + vec4(0u, 1u, 2u, 3u), vec4(params.channels - 1u)) * window;
    let rows_high = min(first_channel + vec4(4u, 5u, 6u, 7u), vec4(params.channels - 1u)) * window;
    var sums_low: array<vec4<f32>, 4>;
    var sums_high: array<vec4<f32>, 4>;
    for (var u = 0u; u < params.kernel_h; u++) {
        for (var v = 0u; v < params.kernel_w; v++) {
            var at: array<u32, 4>;
            for (var p = 0u; p < POSITIONS; p++) { at[p] = place_of(pixels[p], i32(u * params.dilation_h), i32(v * params.dilation_w)); }
            for (var o = 0u; o < params.outputs; o++) {
                let tap = o * params.channels * window + u * params.kernel_w + v;
                let i = rows_low + tap;
                let j = rows_high + tap;
                let w_low = vec4(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
                let w_high = vec4(weight[j.x], weight[j.y], weight[j.z], weight[j.w]);
                for (var p = 0u; p < POSITIONS; p++) {
                    if at[p] != NOWHERE {
                        let arriving = g[at[p] + o * places];
                        sums_low[p] += w_low * arriving;
                        sums_high[p] += w_high * arriving;
                    }
                }
            }
        }
    }

    for (var p = 0u; p < POSITIONS; p++) {
        let position = first + p * WORKGROUP;
        if position < params.batch * plane {
            let to = (position / plane * params.channels + first_channel) * plane + position % plane;
            let left = params.channels - first_channel;
            out[to] = sums_low[p].x;
            if left > 1u { out[to + plane] = sums_low[p].y; }
            if left > 2u { out[to + 2u * plane] = sums_low[p].z; }
            if left > 3u { out[to + 3u * plane] = sums_low[p].w; }
            if left > 4u { out[to + 4u * plane] = sums_high[p].x; }
            if left > 5u { out[to + 5u * plane] = sums_high[p].y; }
            if left > 6u { out[to + 6u * plane] = sums_high[p].z; }
            if left > 7u { out[to + 7u * plane] = sums_high[p].w; }
        }
    }
}
