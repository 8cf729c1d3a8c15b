// out = the pairs (index, position), where every two neighbouring sorted runs have become one.
// One invocation per pair: its place is its own rank plus its rank in the other run, found by halving.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { count: u32, run: u32 }

@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let p = flat_group(group, groups) * WORKGROUP + lane;
    if p >= params.count { return; }
    let own = p / params.run;
    let other = min((own ^ 1u) * params.run, params.count);
    let mine = pairs[p];
    var low = other;
    var high = min(other + params.run, params.count);
    for (var step = 0u; step < 32u && low < high; step++) {
        let middle = (low + high) / 2u;
        let theirs = pairs[middle];
        if theirs.x < mine.x || (theirs.x == mine.x && theirs.y < mine.y) { low = middle + 1u; } else { high = middle; }
    }
    out[(own / 2u) * 2u * params.run + (p - own * params.run) + (low - other)] = mine;
}
