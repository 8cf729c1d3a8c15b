// Sums and extremes over a workgroup of WORKGROUP lanes (a power of two, an override of the including file).
// Every lane must call, with uniform control flow; every lane gets the result. `Lane` is an entry point parameter:
//     fn main(@builtin(workgroup_id) group: vec3<u32>, lane: Lane)     // lane.index is the local index
struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> partial: array<f32, WORKGROUP>;

fn workgroup_sum(lane: Lane, value: f32) -> f32 {
    partial[lane.index] = value;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if lane.index < stride { partial[lane.index] += partial[lane.index + stride]; }
        workgroupBarrier();
    }
    let total = partial[0];
    workgroupBarrier();
    return total;
}

fn workgroup_max(lane: Lane, value: f32) -> f32 {
    partial[lane.index] = value;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if lane.index < stride { partial[lane.index] = max(partial[lane.index], partial[lane.index + stride]); }
        workgroupBarrier();
    }
    let greatest = partial[0];
    workgroupBarrier();
    return greatest;
}
