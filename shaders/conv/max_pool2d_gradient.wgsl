// out[n,c,i,j] = Σ g[n,c,y,x] over the windows whose maximum was at (i, j), and with values of a ReLU only where they are above 0.
// One invocation per element of the image, which asks the windows that hold it in order; where windows tile the image, per window.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 2;
override KERNEL_W: u32 = 2;
override STRIDE_H: u32 = 2;
override STRIDE_W: u32 = 2;
override TILES: bool = false; // the windows tile the image: each writes its own elements
override TWO: bool = false;   // such windows of 2×2, in rows of a multiple of 4 elements: an invocation does two side by side
override RELU: bool = false;
//!include lib/index.wgsl

struct Params { planes: u32, height: u32, width: u32, out_h: u32, out_w: u32, pad_h: u32, pad_w: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> indices: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// How many windows hold an element along each axis.
override REACH_H: u32 = (KERNEL_H + STRIDE_H - 1u) / STRIDE_H;
override REACH_W: u32 = (KERNEL_W + STRIDE_W - 1u) / STRIDE_W;

fn one_window(i: u32) {
    let row = i / params.out_w;  // of all planes
    let top = row % params.out_h * KERNEL_H;
    let left = i % params.out_w * KERNEL_W;
    let plane = row / params.out_h * params.height * params.width;
    var arriving = g[i / 4u][i % 4u];
    if RELU && !(values[i / 4u][i % 4u] > 0.0) { arriving = 0.0; }
    let place = u32(indices[i / 4u][i % 4u]);
    for (var u = 0u; u < KERNEL_H; u++) {
        for (var v = 0u; v < KERNEL_W; v++) {
            let at = (top + u) * params.width + left + v;
            out[(plane + at) / 4u][(plane + at) % 4u] = select(0.0, arriving, place == at);
        }
    }
}

// Two windows: neighbours write neighbouring vectors of the image.
fn two_windows(i: u32) {
    let row = i * 2u / params.out_w;  // of all planes
    let at = row % params.out_h * 2u * params.width + i * 2u % params.out_w * 2u;
    let upper = (row / params.out_h * params.height * params.width + at) / 4u;
    let odd = i % 2u == 1u;
    var two = select(g[i / 2u].xy, g[i / 2u].zw, odd);
    if RELU { two = select(vec2<f32>(), two, select(values[i / 2u].xy, values[i / 2u].zw, odd) > vec2<f32>()); }
    // Where in its window each maximum was: 0 and 1 above, width and width + 1 below.
    let place = vec2<u32>(select(indices[i / 2u].xy, indices[i / 2u].zw, odd)) - at - vec2<u32>(0u, 2u);
    let here = vec4<u32>(place.xx, place.yy);
    out[upper] = select(vec4<f32>(), two.xxyy, here == vec4<u32>(0u, 1u, 0u, 1u));
    out[upper + params.width / 4u] = select(vec4<f32>(), two.xxyy, here == vec4<u32>(0u, 1u, 0u, 1u) + params.width);
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
    let place = i % size;
    let row = place / params.width + params.pad_h;
    let column = place % params.width + params.pad_w;
    let first = i / size * params.out_h * params.out_w;
    var sum = 0.0;
    for (var b = 0u; b < REACH_H; b++) {
        let y = row / STRIDE_H + b + 1u - REACH_H;  // wraps around above the first window, and is far beyond the last one then
        for (var a = 0u; a < REACH_W; a++) {
            let x = column / STRIDE_W + a + 1u - REACH_W;
            if y >= params.out_h || x >= params.out_w { continue; }
            let window = first + y * params.out_w + x;
            if u32(indices[window / 4u][window % 4u]) != place { continue; }
            if RELU && !(values[window / 4u][window % 4u] > 0.0) { continue; }
            sum += g[window / 4u][window % 4u];
        }
    }
    out[i / 4u][i % 4u] = sum;
}
