// out = value, except out[start + k·step] = x[k]: constant padding, and the gradient of a slice; elements of 32 bits.
// One invocation per four elements of the result.
//
// The last RANK of six axes count.  UNIT 1: all steps are 1.

override WORKGROUP: u32 = 256;
override RANK: u32 = 6;
override UNIT: u32 = 0;
//!include lib/index.wgsl

// Six extents of out, then six starts, six steps and six extents of x: 24 numbers in a row.
struct Params {
    w0: vec4<i32>, w1: vec4<i32>, w2: vec4<i32>, w3: vec4<i32>, w4: vec4<i32>, w5: vec4<i32>,
    size: u32, value: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

const NOWHERE: i32 = -1;

// k where c = start + k·step with 0 <= k < n, else -1.
fn source(c: u32, start: i32, step: i32, n: i32) -> i32 {
    var k = i32(c) - start;
    if UNIT == 0u {
        let scaled = k / step;
        if scaled * step != k { return NOWHERE; }
        k = scaled;
    }
    return select(NOWHERE, k, k >= 0 && k < n);
}

// A place on the axes so far (`at`, -1 where x has none) and k on the next one outwards, whose step in x is `stride`.
fn joined(at: i32, k: i32, stride: i32) -> i32 { return select(at + k * stride, NOWHERE, min(at, k) < 0); }

// Where a row of the last axis begins in x; -1 where x has no such row.
fn row_source(row: u32) -> i32 {
    if RANK <= 1u { return 0; }
    var rest = row;
    var stride = params.w5.w;
    var at = 0;
    let n4 = u32(params.w1.x);
    at = joined(at, source(rest % n4, params.w2.z, params.w4.x, params.w5.z), stride);
    if RANK == 2u { return at; }
    rest /= n4; stride *= params.w5.z;
    let n3 = u32(params.w0.w);
    at = joined(at, source(rest % n3, params.w2.y, params.w3.w, params.w5.y), stride);
    if RANK == 3u { return at; }
    rest /= n3; stride *= params.w5.y;
    let n2 = u32(params.w0.z);
    at = joined(at, source(rest % n2, params.w2.x, params.w3.z, params.w5.x), stride);
    if RANK == 4u { return at; }
    rest /= n2; stride *= params.w5.x;
    let n1 = u32(params.w0.y);
    at = joined(at, source(rest % n1, params.w1.w, params.w3.y, params.w4.w), stride);
    if RANK == 5u { return at; }
    return joined(at, source(rest / n1, params.w1.z, params.w3.x, params.w4.z), stride * params.w4.w);
}

fn element(base: i32, c: u32) -> u32 {
    let at = joined(base, source(c, params.w2.w, params.w4.y, params.w5.w), 1);
    if at < 0 { return params.value; }
    return x[at];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    let n = u32(params.w1.y);
    var row = 4u * q / n;
    var c = 4u * q - row * n;
    var base = row_source(row);
    var words = vec4<u32>(0u);
    for (var k = 0u; k < 4u; k++) {
        words[k] = element(base, c);
        c++;
        if c == n { c = 0u; row++; base = row_source(row); }
    }
    out[q] = words;
}
