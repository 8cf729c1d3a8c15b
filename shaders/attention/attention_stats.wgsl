// out = (lse, delta) per query, with delta = the sum of g·result over a row: what the backward kernels need of a row.
// One invocation per row.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl

struct Params { rows: u32, dim: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> result: array<f32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups) * WORKGROUP + lane;
    if row >= params.rows { return; }
    var delta = 0.0;
    for (var c = 0u; c < params.dim; c++) { delta += g[row * params.dim + c] * result[row * params.dim + c]; }
    out[row] = vec2<f32>(lse[row], delta);
}
