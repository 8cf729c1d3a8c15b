// out = a where condition, else b; with NumPy broadcasting.  Elements of 32 bits of any kind; a or b may be a number.
// One invocation per four elements of the result.
//
// How each is read is a constant: 0 as it lies; 1 by strides; 2 (a and b) a number.

override WORKGROUP: u32 = 256;
override C_MODE: u32 = 0;
override A_MODE: u32 = 0;
override B_MODE: u32 = 0;
//!include lib/index.wgsl
//!include lib/walk.wgsl

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

fn load_condition(q: u32) -> vec4<u32> {
    if C_MODE == 0u { return condition[q]; }
    let j = walk4(4u * q, params.w0, params.w1, vec4(params.w1.zw, params.w2.xy), vec4(params.w2.zw, 0u, 0u));
    return vec4(condition[j.x / 4u][j.x % 4u], condition[j.y / 4u][j.y % 4u], condition[j.z / 4u][j.z % 4u], condition[j.w / 4u][j.w % 4u]);
}
fn load_a(q: u32) -> vec4<u32> {
    if A_MODE == 2u { return vec4(params.a_value); }
    if A_MODE == 0u { return a[q]; }
    let j = walk4(4u * q, params.w0, params.w1, params.w3, params.w4);
    return vec4(a[j.x / 4u][j.x % 4u], a[j.y / 4u][j.y % 4u], a[j.z / 4u][j.z % 4u], a[j.w / 4u][j.w % 4u]);
}
fn load_b(q: u32) -> vec4<u32> {
    if B_MODE == 2u { return vec4(params.b_value); }
    if B_MODE == 0u { return b[q]; }
    let j = walk4(4u * q, params.w0, params.w1, vec4(params.w4.zw, params.w5.xy), vec4(params.w5.zw, 0u, 0u));
    return vec4(b[j.x / 4u][j.x % 4u], b[j.y / 4u][j.y % 4u], b[j.z / 4u][j.z % 4u], b[j.w / 4u][j.w % 4u]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    out[q] = select(load_b(q), load_a(q), load_condition(q) != vec4(0u));
}
