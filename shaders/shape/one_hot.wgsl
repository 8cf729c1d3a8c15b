// out[i, c] = 1 where ids[i] = c, else 0; an id outside 0 .. classes - 1 gives a row of zeros.
// One invocation per four elements of the result.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { size: u32, classes: u32 }

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    // The class of each of the four; past the end of a row the next id counts.
    let row = 4u * q / params.classes;
    var at = 4u * q - row * params.classes;
    var id = ids[row];
    var ones = vec4<f32>(0.0);
    var next = row + 1u;
    for (var k = 0u; k < 4u; k++) {
        ones[k] = select(0.0, 1.0, id == i32(at));
        at++;
        if at == params.classes { at = 0u; id = ids[next]; next++; }
    }
    out[q] = ones;
}
