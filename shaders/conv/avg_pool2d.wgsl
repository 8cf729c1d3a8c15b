// out[n,c,y,x] = mean of the image over the window at (y·stride − pad, x·stride − pad); the padding counts as zeros.
// One invocation per window, or per four of 2×2 side by side.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 2;
override KERNEL_W: u32 = 2;
override STRIDE_H: u32 = 2;
override STRIDE_W: u32 = 2;
override FOUR: bool = false;  // windows of 2×2 that tile rows of a multiple of 8 elements
//!include lib/index.wgsl

struct Params { planes: u32, height: u32, width: u32, out_h: u32, out_w: u32, pad_h: u32, pad_w: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn four_windows(i: u32) {
    let row = i * 4u / params.out_w;  // of all planes
    let at = row % params.out_h * 2u * params.width + i * 4u % params.out_w * 2u;
    let upper = (row / params.out_h * params.height * params.width + at) / 4u;
    let lower = upper + params.width / 4u;
    let a = x[upper];
    let b = x[upper + 1u];
    let c = x[lower];
    let d = x[lower + 1u];
    out[i] = (vec4<f32>(a.xz, b.xz) + vec4<f32>(a.yw, b.yw) + vec4<f32>(c.xz, d.xz) + vec4<f32>(c.yw, d.yw)) / 4.0;
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
    let top = i % places / params.out_w * STRIDE_H - params.pad_h;  // in the padding they wrap around, and are far beyond the image
    let left = i % params.out_w * STRIDE_W - params.pad_w;
    var sum = 0.0;
    for (var u = 0u; u < KERNEL_H; u++) {
        if top + u >= params.height { continue; }
        for (var v = 0u; v < KERNEL_W; v++) {
            let at = plane + (top + u) * params.width + left + v;
            if left + v < params.width { sum += x[at / 4u][at % 4u]; }
        }
    }
    out[i / 4u][i % 4u] = sum / f32(KERNEL_H * KERNEL_W);
}
