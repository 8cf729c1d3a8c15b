// out = (lse, delta) per query, with delta = the sum of g·result over a row: what the backward kernels need of a row.
// SEGMENT invocations per row, four elements at a time.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 8;
override VECTOR: bool = false;  // dim is a multiple of 4
//!include lib/index.wgsl
//!include lib/reduce_segments.wgsl

alias Item = f32;

struct Params { rows: u32, dim: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> result: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn combine(a: f32, b: f32) -> f32 { return a + b; }

fn product(at: u32) -> f32 { return g[at >> 2u][at & 3u] * result[at >> 2u][at & 3u]; }

fn four_products(at: u32, count: u32) -> f32 {
    if VECTOR { return dot(g[at >> 2u], result[at >> 2u]); }
    var sum = 0.0;
    for (var j = 0u; j < min(4u, count); j++) { sum += product(at + j); }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let row = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    var delta = 0.0;
    if row < params.rows {
        for (var c = index % SEGMENT * 4u; c < params.dim; c += 4u * SEGMENT) { delta += four_products(row * params.dim + c, params.dim - c); }
    }
    delta = segment_reduce(lane, delta);
    if row < params.rows && index % SEGMENT == 0u { out[row] = vec2<f32>(lse[row], delta); }
}
