// out = value, in x's shape; x is not read.
// One invocation per four elements.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { size: u32, value: u32 }  // the number's bits

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q < params.size { out[q] = vec4(params.value); }
}
