// out[n,c,y,x] = max of the image over the window at (y·stride − pad, x·stride − pad); indices: where in the plane, the first on ties.
// One invocation per window. The padding takes no part; the first NaN wins.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/float.wgsl

struct Params {
    planes: u32, height: u32, width: u32, kernel_h: u32,
    kernel_w: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read_write> indices: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let places = params.out_h * params.out_w;
    if i >= params.planes * places { return; }
    let plane = i / places * params.height * params.width;
    let top = i % places / params.out_w * params.stride_h;
    let left = i % params.out_w * params.stride_w;
    // The part of the window inside the image.
    let first_row = max(top, params.pad_h) - params.pad_h;
    let first_column = max(left, params.pad_w) - params.pad_w;
    let end_row = min(top + params.kernel_h - params.pad_h, params.height);
    let end_column = min(left + params.kernel_w - params.pad_w, params.width);
    var at = first_row * params.width + first_column;
    var best = x[plane + at];
    for (var row = first_row; row < end_row; row++) {
        for (var column = first_column; column < end_column; column++) {
            let value = x[plane + row * params.width + column];
            if !is_nan(best) && (is_nan(value) || value > best) {
                best = value;
                at = row * params.width + column;
            }
        }
    }
    out[i] = best;
    indices[i] = i32(at);
}
