// out = a OP b, elementwise, with NumPy broadcasting.  OP and MODE are constants.
// One invocation per element of the result.

override WORKGROUP: u32 = 256;
override OP: u32;
override MODE: u32 = 0;  // 0: a and b have the result's shape; 1: offsets by strides
//!include lib/index.wgsl
//!include lib/broadcast.wgsl

struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    a_low: vec4<u32>, a_high: vec4<u32>,
    b_low: vec4<u32>, b_high: vec4<u32>,
    size: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn apply(x: f32, y: f32) -> f32 {
    switch OP {
        case 0u: { return x + y; }
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        default: { return x / y; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    var at_a = i;
    var at_b = i;
    if MODE == 1u {
        at_a = broadcast_offset(i, params.n_low, params.n_high, params.a_low, params.a_high);
        at_b = broadcast_offset(i, params.n_low, params.n_high, params.b_low, params.b_high);
    }
    out[i] = apply(a[at_a], b[at_b]);
}
