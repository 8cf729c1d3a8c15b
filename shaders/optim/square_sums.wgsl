// partials[b] = Σ gradient² over every stretch of 1024 elements whose number is b modulo the number of partials.
// One workgroup per partial, four elements per lane and turn.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/reduce.wgsl

struct Params { size: u32, blocks: u32 }

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    var total = 0.0;
    for (var q = block * WORKGROUP + lane.index; 4u * q < params.size; q += params.blocks * WORKGROUP) {
        let inside = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.size);
        let g = select(vec4<f32>(0.0), gradient[q], inside);
        total += dot(g, g);
    }
    total = workgroup_sum(lane, total);
    if lane.index == 0u { partials[block] = total; }
}
