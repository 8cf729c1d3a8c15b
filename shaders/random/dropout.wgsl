// out = x·scale where the upper 24 bits of the element's random word reach the threshold, else 0.
// One invocation per block of four elements.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/random.wgsl

struct Params { blocks: u32, threshold: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> state: vec4<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let block = flat_group(group, groups) * WORKGROUP + lane;
    if block >= params.blocks { return; }
    let kept = (random_block(state, block) >> vec4<u32>(8u)) >= vec4<u32>(params.threshold);
    out[block] = select(vec4<f32>(0.0), x[block] * params.scale, kept);
}
