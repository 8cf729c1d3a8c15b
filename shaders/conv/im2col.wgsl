// out[n, (c,u,v), (y,x)] = image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation], 0 outside the image.
// A workgroup's invocations are in one row of the result, one element each, or four where VECTOR.

override WORKGROUP: u32 = 256;
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override VECTOR: bool = false;  // the places of an image are a multiple of 4
//!include lib/index.wgsl

struct Params {
    planes: u32, height: u32, width: u32, out_h: u32,
    out_w: u32, stride_h: u32, stride_w: u32, pad_h: u32,
    pad_w: u32, dilation_h: u32, dilation_w: u32, groups_per_row: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

// Where the row's tap lies in a window, and the plane it reads.
struct Tap { plane: u32, down: u32, right: u32 }

fn under(tap: Tap, y: u32, column: u32) -> f32 {
    // Before the first row the difference wraps around to a number far above the height.
    let row = y * params.stride_h + tap.down - params.pad_h;
    let at = column * params.stride_w + tap.right - params.pad_w;
    if row < params.height && at < params.width { return x[(tap.plane * params.height + row) * params.width + at]; }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let number = flat_group(group, groups);
    let row = number / params.groups_per_row;  // plane · taps + tap
    let per = select(1u, 4u, VECTOR);
    let place = (number % params.groups_per_row * WORKGROUP + lane) * per;
    let places = params.out_h * params.out_w;
    let plane = row / (KERNEL_H * KERNEL_W);
    if plane >= params.planes || place >= places { return; }
    let tap = Tap(plane, row / KERNEL_W % KERNEL_H * params.dilation_h, row % KERNEL_W * params.dilation_w);
    var y = place / params.out_w;
    var column = place % params.out_w;
    let at = row * places + place;
    if !VECTOR {
        out[at / 4u][at % 4u] = under(tap, y, column);
        return;
    }
    var four = vec4<f32>();
    for (var j = 0u; j < 4u; j++) {
        four[j] = under(tap, y, column);
        column++;
        if column == params.out_w { column = 0u; y++; }
    }
    out[at / 4u] = four;
}
