// partials[b] = Σ gradient² over the stretch of row b of `table`, which lies in one of up to 24 gradients.
// One workgroup per partial, four vectors of four elements per lane and turn.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/reduce.wgsl
//!include lib/gradient_many.wgsl

struct Params { present: u32, blocks: u32, most: u32 }  // most: vectors of the longest stretch

@group(0) @binding(25) var<storage, read_write> partials: array<f32>;
@group(0) @binding(26) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let here = stretch_of(block);
    var total = 0.0;
    for (var i = lane.index; i < min(params.most, (here.count + 3u) / 4u); i += 4u * WORKGROUP) {
        let a = gradient_at(here, i);  // four loads under way; zeros behind the end
        let b = gradient_at(here, i + WORKGROUP);
        let c = gradient_at(here, i + 2u * WORKGROUP);
        let d = gradient_at(here, i + 3u * WORKGROUP);
        total += (dot(a, a) + dot(b, b)) + (dot(c, c) + dot(d, d));
    }
    total = workgroup_sum(lane, total);
    if lane.index == 0u { partials[block] = total; }
}
