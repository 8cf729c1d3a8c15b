// lib/reduce.wgsl for adapters with subgroup operations: one partial per subgroup instead of a tree.
struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// Sized for subgroups of one lane: the size is not fixed, and a wrong guess would write outside.
var<workgroup> partial: array<f32, WORKGROUP>;

fn workgroup_sum(lane: Lane, value: f32) -> f32 {
    let mine = subgroupAdd(value);
    if lane.in_subgroup == 0u { partial[lane.subgroup] = mine; }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < lane.subgroups; i++) { total += partial[i]; }
    workgroupBarrier();
    return total;
}

fn workgroup_max(lane: Lane, value: f32) -> f32 {
    let mine = subgroupMax(value);
    if lane.in_subgroup == 0u { partial[lane.subgroup] = mine; }
    workgroupBarrier();
    var greatest = partial[0];
    for (var i = 1u; i < lane.subgroups; i++) { greatest = max(greatest, partial[i]); }
    workgroupBarrier();
    return greatest;
}
