// lib/scan.wgsl for adapters with subgroup operations: shuffles inside each subgroup, then one sum each.
struct Lane {
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

struct Scan { before: vec4<f32>, total: vec4<f32> }

// Sized for subgroups of one lane: the size is not fixed, and a wrong guess would write outside.
var<workgroup> running: array<vec4<f32>, WORKGROUP>;

// Lanes are numbered so that a segment is made of whole subgroups, or a subgroup of whole segments.
fn lane_index(lane: Lane) -> u32 { return lane.subgroup * (WORKGROUP / lane.subgroups) + lane.in_subgroup; }

fn segment_scan(lane: Lane, value: vec4<f32>) -> Scan {
    let size = WORKGROUP / lane.subgroups;
    let width = min(SEGMENT, size);
    let at = lane.in_subgroup % width;
    var sum = value;
    for (var step = 1u; step < width; step *= 2u) {
        let other = subgroupShuffleUp(sum, step);
        if at >= step { sum += other; }
    }
    let shifted = subgroupShuffleUp(sum, 1u);
    var before = select(shifted, vec4(0.0), at == 0u);
    var total = subgroupShuffle(sum, lane.in_subgroup - at + width - 1u);
    if SEGMENT <= size { return Scan(before, total); }
    if lane.in_subgroup == 0u { running[lane.subgroup] = total; }
    workgroupBarrier();
    let count = SEGMENT / size;
    let first = lane.subgroup / count * count;
    total = vec4(0.0);
    var earlier = vec4(0.0);
    for (var i = 0u; i < count; i++) {
        if first + i == lane.subgroup { earlier = total; }
        total += running[first + i];
    }
    workgroupBarrier();
    return Scan(before + earlier, total);
}
