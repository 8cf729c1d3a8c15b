// lib/reduce_segments.wgsl for adapters with subgroup operations: a butterfly inside each subgroup, then one item each.
struct Lane {
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// Sized for subgroups of one lane: the size is not fixed, and a wrong guess would write outside.
var<workgroup> items: array<Item, WORKGROUP>;

// Lanes are numbered so that a segment is made of whole subgroups, or a subgroup of whole segments.
fn lane_index(lane: Lane) -> u32 { return lane.subgroup * (WORKGROUP / lane.subgroups) + lane.in_subgroup; }

fn segment_reduce(lane: Lane, value: Item) -> Item {
    let size = WORKGROUP / lane.subgroups;
    var mine = value;
    for (var step = 1u; step < min(SEGMENT, size); step *= 2u) { mine = combine(mine, subgroupShuffleXor(mine, step)); }
    if SEGMENT <= size { return mine; }
    if lane.in_subgroup == 0u { items[lane.subgroup] = mine; }
    workgroupBarrier();
    let count = SEGMENT / size;
    let first = lane.subgroup / count * count;
    var result = items[first];
    for (var i = 1u; i < count; i++) { result = combine(result, items[first + i]); }
    workgroupBarrier();
    return result;
}
