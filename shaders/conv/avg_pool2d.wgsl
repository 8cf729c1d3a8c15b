// out[n,c,y,x] = mean of the image over the window at (y·stride − pad, x·stride − pad); the padding counts as zeros.
// One invocation per window.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params {
    planes: u32, height: u32, width: u32, kernel_h: u32,
    kernel_w: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let places = params.out_h * params.out_w;
    if i >= params.planes * places { return; }
    let plane = i / places * params.height * params.width;
    let top = i % places / params.out_w * params.stride_h;
    let left = i % params.out_w * params.stride_w;
    let first_row = max(top, params.pad_h) - params.pad_h;
    let first_column = max(left, params.pad_w) - params.pad_w;
    let end_row = min(max(top + params.kernel_h, params.pad_h) - params.pad_h, params.height);
    let end_column = min(max(left + params.kernel_w, params.pad_w) - params.pad_w, params.width);
    var sum = 0.0;
    for (var row = first_row; row < end_row; row++) {
        for (var column = first_column; column < end_column; column++) {
            sum += x[plane + row * params.width + column];
        }
    }
    out[i] = sum / f32(params.kernel_h * params.kernel_w);
}
