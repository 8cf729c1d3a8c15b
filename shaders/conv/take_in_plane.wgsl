// out[n,c,y,x] = image[n,c] at the flat place indices[n,c,y,x].
// One invocation per element of the result.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { size: u32, places: u32, plane: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i < params.size { out[i] = x[i / params.places * params.plane + u32(indices[i])]; }
}
