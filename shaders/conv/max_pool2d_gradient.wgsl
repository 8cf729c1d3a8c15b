// out[n,c,i,j] = Σ g[n,c,y,x] over the windows whose maximum was at (i, j).
// One invocation per element of the image, which asks the windows that hold it in order.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params {
    planes: u32, height: u32, width: u32, kernel_h: u32,
    kernel_w: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32,
}

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// The first window along one axis that reaches a padded coordinate.
fn first_window(at: u32, size: u32, stride: u32) -> u32 {
    return (max(at + stride, size) - size) / stride;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let size = params.height * params.width;
    if i >= params.planes * size { return; }
    let place = i % size;
    let row = place / params.width + params.pad_h;
    let column = place % params.width + params.pad_w;
    let end_y = min(row / params.stride_h + 1u, params.out_h);
    let end_x = min(column / params.stride_w + 1u, params.out_w);
    var sum = 0.0;
    for (var y = first_window(row, params.kernel_h, params.stride_h); y < end_y; y++) {
        for (var x = first_window(column, params.kernel_w, params.stride_w); x < end_x; x++) {
            let window = (i / size * params.out_h + y) * params.out_w + x;
            if u32(indices[window]) == place { sum += g[window]; }
        }
    }
    out[i] = sum;
}
