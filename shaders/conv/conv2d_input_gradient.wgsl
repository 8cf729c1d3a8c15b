// out[n,c,i,j] = Σ_ouv weight[o,c,u,v] · g[n,o,y,x] over the places (y, x) with y·stride − pad + u·dilation = i, likewise x and j.
// One invocation per POSITIONS elements of the image and four channels; gathers, so the order of the sum is fixed.

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
    let first_channel = (tile % params.channel_tiles) * 4u;
    let first = (tile / params.channel_tiles) * WORKGROUP * POSITIONS + lane;
    let plane = params.height * params.width;
    if first >= params.batch * plane { return; }
    var pixels: array<Pixel, 4>;
    for (var p = 0u; p < POSITIONS; p++) { pixels[p] = pixel_at(first + p * WORKGROUP); }

    let window = params.kernel_h * params.kernel_w;
    let places = params.out_h * params.out_w;
    let columns = min(first_channel + vec4(0u, 1u, 2u, 3u), vec4(params.channels - 1u)) * window;
    var sums: array<vec4<f32>, 4>;
    for (var u = 0u; u < params.kernel_h; u++) {
        for (var v = 0u; v < params.kernel_w; v++) {
            var at: array<u32, 4>;
            for (var p = 0u; p < POSITIONS; p++) { at[p] = place_of(pixels[p], i32(u * params.dilation_h), i32(v * params.dilation_w)); }
            for (var o = 0u; o < params.outputs; o++) {
                let from_here = columns + o * params.channels * window + u * params.kernel_w + v;
                let w = vec4(weight[from_here.x], weight[from_here.y], weight[from_here.z], weight[from_here.w]);
                for (var p = 0u; p < POSITIONS; p++) {
                    if at[p] != NOWHERE { sums[p] += w * g[at[p] + o * places]; }
                }
            }
        }
    }

    for (var p = 0u; p < POSITIONS; p++) {
        let position = first + p * WORKGROUP;
        if position < params.batch * plane {
            let to = (position / plane * params.channels + first_channel) * plane + position % plane;
            let left = params.channels - first_channel;
            out[to] = sums[p].x;
            if left > 1u { out[to + plane] = sums[p].y; }
            if left > 2u { out[to + 2u * plane] = sums[p].z; }
            if left > 3u { out[to + 3u * plane] = sums[p].w; }
        }
    }
}
