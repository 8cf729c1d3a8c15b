// lib/row_sums.wgsl for adapters with subgroup operations: a butterfly inside each subgroup, then one item of each.
struct Lane {
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// Sized for subgroups of one lane: the size is not fixed, and a wrong guess would write outside.
var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

// Lanes are numbered so that a segment is made of whole subgroups, or a subgroup of whole segments.
fn lane_index(lane: Lane) -> u32 { return lane.subgroup * (WORKGROUP / lane.subgroups) + lane.in_subgroup; }

fn row_sums(lane: Lane, mine: vec4<f32>) -> vec4<f32> {
    let size = WORKGROUP / lane.subgroups;
    var sums = mine;
    for (var step = 1u; step < min(SEGMENT, size); step *= 2u) {
        sums.x += subgroupShuffleXor(sums.x, step);
        if ROWS > 1u { sums.y += subgroupShuffleXor(sums.y, step); }
        if ROWS > 2u {
            sums.z += subgroupShuffleXor(sums.z, step);
            sums.w += subgroupShuffleXor(sums.w, step);
        }
    }
    if SEGMENT <= size { return sums; }
    if lane.in_subgroup == 0u { partial[lane.subgroup] = sums; }
    workgroupBarrier();
    let count = SEGMENT / size;
    let first = lane.subgroup / count * count;
    sums = partial[first];
    for (var i = 1u; i < count; i++) { sums += partial[first + i]; }
    return sums;
}
