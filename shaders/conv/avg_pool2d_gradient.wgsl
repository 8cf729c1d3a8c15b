// out[n,c,i,j] = Σ g[n,c,y,x] / (window size) over the windows that hold (i, j).
// One invocation per element of the image, which adds the windows that hold it in order; where windows tile the image, per window.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 2;
override KERNEL_W: u32 = 2;
override STRIDE_H: u32 = 2;
override STRIDE_W: u32 = 2;
override TILES: bool = false; // the windows tile the image: each writes its own elements
override TWO: bool = false;   // such windows of 2×2, in rows of a multiple of 4 elements: an invocation does two side by side
//!include lib/index.wgsl

struct Params { planes: u32, height: u32, width: u32, out_h: u32, out_w: u32, pad_h: u32, pad_w: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

// How many windows can hold an element along each axis.
override REACH_H: u32 = (KERNEL_H + STRIDE_H - 1u) / STRIDE_H;
override REACH_W: u32 = (KERNEL_W + STRIDE_W - 1u) / STRIDE_W;

fn one_window(i: u32) {
    let row = i / params.out_w;  // of all planes
    let first = (row / params.out_h * params.height + row % params.out_h * KERNEL_H) * params.width + i % params.out_w * KERNEL_W;
    let share = g[i / 4u][i % 4u] / f32(KERNEL_H * KERNEL_W);
    for (var u = 0u; u < KERNEL_H; u++) {
        for (var v = 0u; v < KERNEL_W; v++) {
            let at = first + u * params.width + v;
            out[at / 4u][at % 4u] = share;
        }
    }
}

// Two windows: neighbours write neighbouring vectors of the image.
fn two_windows(i: u32) {
    let row = i * 2u / params.out_w;  // of all planes
    let at = row % params.out_h * 2u * params.width + i * 2u % params.out_w * 2u;
    let upper = (row / params.out_h * params.height * params.width + at) / 4u;
    let two = select(g[i / 2u].xy, g[i / 2u].zw, i % 2u == 1u) / 4.0;
    out[upper] = two.xxyy;
    out[upper + params.width / 4u] = two.xxyy;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let size = params.height * params.width;
    let windows = params.planes * params.out_h * params.out_w;
    if TWO {
        if i < windows / 2u { two_windows(i); }
        return;
    }
    if TILES {
        if i < windows { one_window(i); }
        return;
    }
    if i >= params.planes * size { return; }
    let row = i % size / params.width + params.pad_h;
    let column = i % params.width + params.pad_w;
    let first = i / size * params.out_h * params.out_w;
    var sum = 0.0;
    for (var b = 0u; b < REACH_H; b++) {
        let y = row / STRIDE_H + b + 1u - REACH_H;  // wraps around above the first window, and is far beyond the last one then
        if y >= params.out_h || row - y * STRIDE_H >= KERNEL_H { continue; }
        for (var a = 0u; a < REACH_W; a++) {
            let x = column / STRIDE_W + a + 1u - REACH_W;
            if x >= params.out_w || column - x * STRIDE_W >= KERNEL_W { continue; }
            let window = first + y * params.out_w + x;
            sum += g[window / 4u][window % 4u];
        }
    }
    out[i / 4u][i % 4u] = sum / f32(KERNEL_H * KERNEL_W);
}
