// Sums over each SEGMENT adjacent lanes (a power of two, at most WORKGROUP) of the first ROWS components.
// The including file has the overrides WORKGROUP, SEGMENT and ROWS. Every lane must call, once, with uniform control flow;
// the first lane of a segment gets its sums. Lanes are numbered by lane_index(lane), never by the local index.
struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

fn lane_index(lane: Lane) -> u32 { return lane.index; }

fn row_sums(lane: Lane, mine: vec4<f32>) -> vec4<f32> {
    partial[lane.index] = mine;
    workgroupBarrier();
    for (var stride = SEGMENT / 2u; stride > 0u; stride /= 2u) {
        if lane.index % SEGMENT < stride { partial[lane.index] += partial[lane.index + stride]; }
        workgroupBarrier();
    }
    return partial[lane.index];
}
