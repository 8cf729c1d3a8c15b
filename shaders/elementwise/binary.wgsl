// out = a OP b, elementwise, with NumPy broadcasting.  OP and DTYPE (see lib/binary.wgsl) are constants.
// One invocation per four elements of the result.
//
// How an operand is read is a constant too: 0 as it lies; 1 one element; 2 its last axes, a multiple of four
// elements; 3 elements repeated a multiple of four times; 4 by strides.

override WORKGROUP: u32 = 256;
override OP: u32;
override DTYPE: u32 = 0;
override A_MODE: u32 = 0;
override B_MODE: u32 = 0;
//!include lib/index.wgsl
//!include lib/walk.wgsl
//!include lib/binary.wgsl

struct Params {
    n_low: vec4<u32>, n_high: vec4<u32>,
    a_low: vec4<u32>, a_high: vec4<u32>,
    b_low: vec4<u32>, b_high: vec4<u32>,
    size: u32, a_inner: u32, a_period: u32, b_inner: u32, b_period: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn a_at(i: u32) -> u32 { return a[i / 4u][i % 4u]; }
fn b_at(i: u32) -> u32 { return b[i / 4u][i % 4u]; }

fn load_a(q: u32) -> vec4<u32> {
    let i = 4u * q;
    switch A_MODE {
        case 0u: { return a[q]; }
        case 1u: { return vec4(a[0].x); }
        case 2u: { return a[(i % params.a_period) / 4u]; }
        case 3u: { return vec4(a_at((i / params.a_inner) % params.a_period)); }
        default: {
            let j = walk4(i, params.n_low, params.n_high, params.a_low, params.a_high);
            return vec4(a_at(j.x), a_at(j.y), a_at(j.z), a_at(j.w));
        }
    }
}
fn load_b(q: u32) -> vec4<u32> {
    let i = 4u * q;
    switch B_MODE {
        case 0u: { return b[q]; }
        case 1u: { return vec4(b[0].x); }
        case 2u: { return b[(i % params.b_period) / 4u]; }
        case 3u: { return vec4(b_at((i / params.b_inner) % params.b_period)); }
        default: {
            let j = walk4(i, params.n_low, params.n_high, params.b_low, params.b_high);
            return vec4(b_at(j.x), b_at(j.y), b_at(j.z), b_at(j.w));
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    out[q] = apply4(load_a(q), load_b(q));
}
