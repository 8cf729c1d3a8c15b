// out[n,o,y,x] = act(bias[o] + Σ_cuv weight[o,c,u,v] · image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation]), 0 outside.
// One invocation per POSITIONS places and four output channels; the weights are the same for the whole workgroup.

override WORKGROUP: u32 = 64;
override POSITIONS: u32 = 2;  // 1 to 4
override HAS_BIAS: bool = false;
override RELU: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, kernel_h: u32, kernel_w: u32, out_h: u32,
    out_w: u32, stride_h: u32, stride_w: u32, pad_h: u32,
    pad_w: u32, dilation_h: u32, dilation_w: u32, channel_tiles: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Where a window starts: the first element of its image, its top row and its left column (negative in the padding).
struct Window { image: u32, top: i32, left: i32 }

fn window_at(position: u32) -> Window {
    let place = position % (params.out_h * params.out_w);
    let sample = position / (params.out_h * params.out_w);
    let outside = -0x40000000;  // every row of such a window is beyond the image, so it reads zeros only
    return Window(
        min(sample, params.batch - 1u) * params.channels * params.height * params.width,
        select(outside, i32(place / params.out_w * params.stride_h) - i32(params.pad_h), sample < params.batch),
        i32(place % params.out_w * params.stride_w) - i32(params.pad_w),
    );
}

fn pixel(plane: u32, row: i32, column: i32) -> f32 {
    if u32(row) < params.height && u32(column) < params.width {
        return x[plane + u32(row) * params.width + u32(column)];
    }
    return 0.0;
}

fn activate(v: f32) -> f32 {
    if RELU && !is_nan(v) { return max(v, 0.0); }
    return v;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = (tile % params.channel_tiles) * 4u;
    let first = (tile / params.channel_tiles) * WORKGROUP * POSITIONS + lane;
    let places = params.out_h * params.out_w;
    if first >= params.batch * places { return; }
    var windows: array<Window, 4>;
    for (var p = 0u; p < POSITIONS; p++) { windows[p] = window_at(first + p * WORKGROUP); }

    let taps = params.channels * params.kernel_h * params.kernel_w;
    let o = min(first_output + vec4(0u, 1u, 2u, 3u), vec4(params.outputs - 1u));
    let rows = o * taps;
    var sums: array<vec4<f32>, 4>;
    var tap = 0u;
    for (var c = 0u; c < params.channels; c++) {
        let plane = c * params.height * params.width;
        for (var u = 0u; u < params.kernel_h; u++) {
            let down = i32(u * params.dilation_h);
            for (var v = 0u; v < params.kernel_w; v++) {
                let right = i32(v * params.dilation_w);
                let w = vec4(weight[rows.x + tap], weight[rows.y + tap], weight[rows.z + tap], weight[rows.w + tap]);
                for (var p = 0u; p < POSITIONS; p++) {
                    sums[p] += w * pixel(windows[p].image + plane, windows[p].top + down, windows[p].left + right);
                }
                tap++;
            }
        }
    }

    var add = vec4(0.0);
    if HAS_BIAS { add = vec4(bias[o.x], bias[o.y], bias[o.z], bias[o.w]); }
    for (var p = 0u; p < POSITIONS; p++) {
        let position = first + p * WORKGROUP;
        if position < params.batch * places {
            let at = (position / places * params.outputs + first_output) * places + position % places;
            let result = sums[p] + add;
            let left = params.outputs - first_output;
            out[at] = activate(result.x);
            if left > 1u { out[at + places] = activate(result.y); }
            if left > 2u { out[at + 2u * places] = activate(result.z); }
            if left > 3u { out[at + 3u * places] = activate(result.w); }
        }
    }
}
