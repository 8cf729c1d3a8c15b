// out = a where condition, else b; with NumPy broadcasting.  Elements of 32 bits of any kind; a or b may be a number.
// One invocation per four elements of the result.

override WORKGROUP: u32 = 64;
override STRIDED: u32 = 0;  // 0: all tensors have the result's shape
override A_NUMBER: u32 = 0;
override B_NUMBER: u32 = 0;
//!include lib/index.wgsl
//!include lib/broadcast.wgsl

// Six extents, then six strides of condition, a and b: 24 numbers in a row.
struct Params {
    w0: vec4<u32>, w1: vec4<u32>, w2: vec4<u32>, w3: vec4<u32>, w4: vec4<u32>, w5: vec4<u32>,
    size: u32, a_value: u32, b_value: u32,
}

@group(0) @binding(0) var<storage, read> condition: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn offset_by(i: u32, s_low: vec4<u32>, s_high: vec4<u32>) -> u32 {
    return broadcast_offset(i, params.w0, params.w1, s_low, s_high);
}

fn strided(element: u32) -> u32 {
    let i = min(element, params.size - 1u);
    let c = offset_by(i, vec4(params.w1.zw, params.w2.xy), vec4(params.w2.zw, 0u, 0u));
    if condition[c / 4u][c % 4u] != 0u {
        if A_NUMBER == 1u { return params.a_value; }
        let j = offset_by(i, params.w3, params.w4);
        return a[j / 4u][j % 4u];
    }
    if B_NUMBER == 1u { return params.b_value; }
    let j = offset_by(i, vec4(params.w4.zw, params.w5.xy), vec4(params.w5.zw, 0u, 0u));
    return b[j / 4u][j % 4u];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    if STRIDED == 1u {
        out[q] = vec4(strided(4u * q), strided(4u * q + 1u), strided(4u * q + 2u), strided(4u * q + 3u));
        return;
    }
    var x = vec4(params.a_value);
    var y = vec4(params.b_value);
    if A_NUMBER == 0u { x = a[q]; }
    if B_NUMBER == 0u { y = b[q]; }
    out[q] = select(y, x, condition[q] != vec4(0u));
}
