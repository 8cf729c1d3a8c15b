// out[i, c] = 1 where ids[i] = c, else 0; an id outside 0 .. classes - 1 gives a row of zeros.
// One invocation per four elements of the result.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { size: u32, classes: u32 }

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn element(i: u32) -> f32 {
    let k = min(i, params.size - 1u);
    return select(0.0, 1.0, ids[k / params.classes] == i32(k % params.classes));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    out[q] = vec4(element(4u * q), element(4u * q + 1u), element(4u * q + 2u), element(4u * q + 3u));
}
