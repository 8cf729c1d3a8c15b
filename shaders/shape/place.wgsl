// out = value, except out[start + k·step] = x[k]: constant padding, and the gradient of a slice; elements of 32 bits.
// One invocation per four elements of the result.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl

// Six extents of out, then six starts, six steps and six extents of x: 24 numbers in a row.
struct Params {
    w0: vec4<i32>, w1: vec4<i32>, w2: vec4<i32>, w3: vec4<i32>, w4: vec4<i32>, w5: vec4<i32>,
    size: u32, value: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

// k where c = start + k·step with 0 <= k < n, else -1.
fn source(c: i32, start: i32, step: i32, n: i32) -> i32 {
    let k = (c - start) / step;
    return select(-1, k, c == start + k * step && k >= 0 && k < n);
}

fn element(i: u32) -> u32 {
    var rest = min(i, params.size - 1u);
    let n5 = u32(params.w1.y); let c5 = i32(rest % n5); rest /= n5;
    let n4 = u32(params.w1.x); let c4 = i32(rest % n4); rest /= n4;
    let n3 = u32(params.w0.w); let c3 = i32(rest % n3); rest /= n3;
    let n2 = u32(params.w0.z); let c2 = i32(rest % n2); rest /= n2;
    let n1 = u32(params.w0.y); let c1 = i32(rest % n1); rest /= n1;
    let k0 = source(i32(rest), params.w1.z, params.w3.x, params.w4.z);
    let k1 = source(c1, params.w1.w, params.w3.y, params.w4.w);
    let k2 = source(c2, params.w2.x, params.w3.z, params.w5.x);
    let k3 = source(c3, params.w2.y, params.w3.w, params.w5.y);
    let k4 = source(c4, params.w2.z, params.w4.x, params.w5.z);
    let k5 = source(c5, params.w2.w, params.w4.y, params.w5.w);
    if min(min(min(k0, k1), min(k2, k3)), min(k4, k5)) < 0 { return params.value; }
    return x[u32(((((k0 * params.w4.w + k1) * params.w5.x + k2) * params.w5.y + k3) * params.w5.z + k4) * params.w5.w + k5)];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    out[q] = vec4(element(4u * q), element(4u * q + 1u), element(4u * q + 2u), element(4u * q + 3u));
}
