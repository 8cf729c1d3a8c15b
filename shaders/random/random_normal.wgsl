// out = mean + std·z with z from pairs of random words by the transform of Box and Muller.
// One invocation per block of four elements.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/random.wgsl
//!include lib/random_normal.wgsl

struct Params { blocks: u32, mean: f32, deviation: f32 }

@group(0) @binding(0) var<storage, read> state: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let block = flat_group(group, groups) * WORKGROUP + lane;
    if block >= params.blocks { return; }
    let words = random_block(state, block);
    out[block] = params.mean + params.deviation * vec4<f32>(box_muller(words.xy), box_muller(words.zw));
}
