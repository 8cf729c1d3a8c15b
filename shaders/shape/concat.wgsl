// out = a, b, ... g joined along one axis; up to seven inputs of elements of any kind.
// One invocation per 16 bytes of the result.
//
// Per index of the axes before the joined one, an input gives a run of elements; ends are the sums of their lengths.
// HALF 1: elements of 16 bits, two to a word.  WHOLE 1: all runs are whole vec4s.

override WORKGROUP: u32 = 256;
override HALF: u32 = 0;
override WHOLE: u32 = 0;
//!include lib/index.wgsl

struct Params { ends_low: vec4<u32>, ends_high: vec4<u32>, size: u32, run: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> c: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> d: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> e: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> f: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> g: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(8) var<uniform> params: Params;

// Input (x) and element in it (y) for element `at` of the run of the result with the number `row`.
fn find(row: u32, at: u32) -> vec2<u32> {
    let low = params.ends_low;
    let high = params.ends_high;
    if at < low.x { return vec2(0u, row * low.x + at); }
    if at < low.y { return vec2(1u, row * (low.y - low.x) + at - low.x); }
    if at < low.z { return vec2(2u, row * (low.z - low.y) + at - low.y); }
    if at < low.w { return vec2(3u, row * (low.w - low.z) + at - low.z); }
    if at < high.x { return vec2(4u, row * (high.x - low.w) + at - low.w); }
    if at < high.y { return vec2(5u, row * (high.y - high.x) + at - high.x); }
    return vec2(6u, row * (high.z - high.y) + at - high.y);
}

fn load(input: u32, q: u32) -> vec4<u32> {
    switch input {
        case 0u: { return a[q]; }
        case 1u: { return b[q]; }
        case 2u: { return c[q]; }
        case 3u: { return d[q]; }
        case 4u: { return e[q]; }
        case 5u: { return f[q]; }
        default: { return g[q]; }
    }
}

fn element(row: u32, at: u32) -> u32 {
    let found = find(row, at);
    if HALF == 0u { return load(found.x, found.y / 4u)[found.y % 4u]; }
    return (load(found.x, found.y / 8u)[(found.y / 2u) % 4u] >> (16u * (found.y % 2u))) & 0xffffu;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if q * (4u + 4u * HALF) >= params.size { return; }
    let first = q * (4u + 4u * HALF);
    var row = first / params.run;
    var at = first - row * params.run;
    if WHOLE == 1u {
        let found = find(row, at);
        out[q] = load(found.x, found.y / 4u);
        return;
    }
    var words = vec4<u32>(0u);
    for (var k = 0u; k < 4u + 4u * HALF; k++) {
        let value = element(row, at);
        if HALF == 0u { words[k] = value; } else { words[k / 2u] |= value << (16u * (k % 2u)); }
        at++;
        if at == params.run { at = 0u; row++; }
    }
    out[q] = words;
}
