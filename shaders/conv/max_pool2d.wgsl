// out[n,c,y,x] = act(max of the image over the window at (y·stride − pad, x·stride − pad)); indices: where in the plane, the first on ties.
// One invocation per window, or per four of 2×2 side by side. The padding takes no part; the first NaN wins.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 2;
override KERNEL_W: u32 = 2;
override STRIDE_H: u32 = 2;
override STRIDE_W: u32 = 2;
override FOUR: bool = false;  // windows of 2×2 that tile rows of a multiple of 8 elements
override RELU: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl

struct Params { planes: u32, height: u32, width: u32, out_h: u32, out_w: u32, pad_h: u32, pad_w: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> indices: array<vec4<i32>>;
@group(0) @binding(3) var<uniform> params: Params;

// The largest value so far and its place.
struct Best { value: f32, at: u32 }

fn better(best: Best, value: f32, at: u32) -> Best {
    if !is_nan(best.value) && (is_nan(value) || value > best.value) { return Best(value, at); }
    return best;
}

fn activate(v: f32) -> f32 {
    if RELU && !is_nan(v) { return max(v, 0.0); }
    return v;
}

// A window of 2×2 from place `at` on: its upper and its lower two.
fn window(upper: vec2<f32>, lower: vec2<f32>, at: u32) -> Best {
    var best = better(Best(upper.x, at), upper.y, at + 1u);
    best = better(best, lower.x, at + params.width);
    return better(best, lower.y, at + params.width + 1u);
}

fn four_windows(i: u32) {
    let row = i * 4u / params.out_w;  // of all planes
    let at = row % params.out_h * 2u * params.width + i * 4u % params.out_w * 2u;
    let upper = (row / params.out_h * params.height * params.width + at) / 4u;
    let lower = upper + params.width / 4u;
    let a = window(x[upper].xy, x[lower].xy, at);
    let b = window(x[upper].zw, x[lower].zw, at + 2u);
    let c = window(x[upper + 1u].xy, x[lower + 1u].xy, at + 4u);
    let d = window(x[upper + 1u].zw, x[lower + 1u].zw, at + 6u);
    out[i] = vec4<f32>(activate(a.value), activate(b.value), activate(c.value), activate(d.value));
    indices[i] = vec4<i32>(vec4<u32>(a.at, b.at, c.at, d.at));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let places = params.out_h * params.out_w;
    if FOUR {
        if i < params.planes * places / 4u { four_windows(i); }
        return;
    }
    if i >= params.planes * places { return; }
    let plane = i / places * params.height * params.width;
    let top = i32(i % places / params.out_w * STRIDE_H) - i32(params.pad_h);
    let left = i32(i % params.out_w * STRIDE_W) - i32(params.pad_w);
    // The first element of the window inside the image.
    let first = u32(max(top, 0)) * params.width + u32(max(left, 0));
    var best = Best(x[(plane + first) / 4u][(plane + first) % 4u], first);
    for (var u = 0; u < i32(KERNEL_H); u++) {
        if u32(top + u) >= params.height { continue; }
        for (var v = 0; v < i32(KERNEL_W); v++) {
            let at = u32(top + u) * params.width + u32(left + v);
            if u32(left + v) < params.width { best = better(best, x[(plane + at) / 4u][(plane + at) % 4u], at); }
        }
    }
    out[i / 4u][i % 4u] = activate(best.value);
    indices[i / 4u][i % 4u] = i32(best.at);
}
