// out = Σ exp(part_lse_i - lse)·part_i with lse = log Σ exp(part_lse_i): one result from those of disjoint chunks of the keys.
// One workgroup per query; each invocation walks the chunks for its columns.

override WORKGROUP: u32 = 64;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce.wgsl

struct Params { rows: u32, chunks: u32, dim: u32 }

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> part_lse: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const NONE = -3e38;  // below: a chunk without any visible key

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let row = flat_group(group, groups);
    if row >= params.rows { return; }
    let start = row * params.chunks;
    var mine = NONE;
    for (var t = lane.index; t < params.chunks; t += WORKGROUP) { mine = max(mine, part_lse[start + t]); }
    let greatest = workgroup_max(lane, mine);
    var share = 0.0;
    for (var t = lane.index; t < params.chunks; t += WORKGROUP) {
        if !(part_lse[start + t] < NONE) { share += exp(part_lse[start + t] - greatest); }
    }
    let total = workgroup_sum(lane, share);
    for (var c = lane.index; c < params.dim; c += WORKGROUP) {
        var sum = 0.0;
        for (var t = 0u; t < params.chunks; t++) {
            let of_part = part_lse[start + t];
            if !(of_part < NONE) { sum += exp(of_part - greatest) * parts[(start + t) * params.dim + c]; }
        }
        out[row * params.dim + c] = select(sum / total, 0.0, total == 0.0);
    }
    if lane.index == 0u { lse[row] = select(greatest + log(total), -infinity(), total == 0.0); }
}
