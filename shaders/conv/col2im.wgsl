// out[n,c,i,j] = Σ columns[n, (c,u,v), (y,x)] over all taps and places with y·stride − pad + u·dilation = i, likewise x and j.
// One invocation per element of the image, which gathers its columns in the order of the taps.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override STRIDE_H: u32 = 1;
override STRIDE_W: u32 = 1;
//!include lib/index.wgsl

struct Params {
    planes: u32, height: u32, width: u32, out_h: u32,
    out_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    dilation_w: u32,
}

@group(0) @binding(0) var<storage, read> columns: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.planes * params.height * params.width { return; }
    let bottom = i / params.width % params.height + params.pad_h;
    let right = i % params.width + params.pad_w;
    let places = params.out_h * params.out_w;
    let first = i / (params.width * params.height) * KERNEL_H * KERNEL_W * places;
    var sum = 0.0;
    for (var u = 0u; u < KERNEL_H; u++) {
        let row = bottom - u * params.dilation_h;  // wraps around above the image, and is far beyond it then
        let y = row / STRIDE_H;
        if y * STRIDE_H != row || y >= params.out_h { continue; }
        for (var v = 0u; v < KERNEL_W; v++) {
            let column = right - v * params.dilation_w;
            let x = column / STRIDE_W;
            if x * STRIDE_W != column || x >= params.out_w { continue; }
            sum += columns[first + (u * KERNEL_W + v) * places + y * params.out_w + x];
        }
    }
    out[i] = sum;
}
