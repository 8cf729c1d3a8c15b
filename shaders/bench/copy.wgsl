// out = x, the adapter's copy bandwidth.
// One invocation moves PER vectors of four, a workgroup apart, so that neighbours read neighbouring bytes.

override WORKGROUP: u32 = 256;
override PER: u32 = 4;
//!include lib/index.wgsl

struct Params { vectors: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let start = flat_group(group, groups) * WORKGROUP * PER + lane;
    for (var k = 0u; k < PER; k++) {
        let i = start + k * WORKGROUP;
        if i < params.vectors { out[i] = x[i]; }
    }
}
