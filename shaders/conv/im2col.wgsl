// out[n, (c,u,v), (y,x)] = image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation], 0 outside the image.
// One invocation per element of the result.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    kernel_h: u32, kernel_w: u32, out_h: u32, out_w: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32,
    dilation_h: u32, dilation_w: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let places = params.out_h * params.out_w;
    let taps = params.channels * params.kernel_h * params.kernel_w;
    if i >= params.batch * taps * places { return; }
    let place = i % places;
    let tap = i / places % taps;
    let row = place / params.out_w * params.stride_h + tap / params.kernel_w % params.kernel_h * params.dilation_h;
    let column = place % params.out_w * params.stride_w + tap % params.kernel_w * params.dilation_w;
    let plane = i / places / taps * params.channels + tap / (params.kernel_h * params.kernel_w);
    var value = 0.0;
    // Before the first row the difference wraps around to a number far above the height.
    if row - params.pad_h < params.height && column - params.pad_w < params.width {
        value = x[(plane * params.height + row - params.pad_h) * params.width + column - params.pad_w];
    }
    out[i] = value;
}
