// Running sums over each SEGMENT adjacent lanes of a workgroup (a power of two), four at a time; every lane must call.
// The including file has the overrides WORKGROUP and SEGMENT. Lanes are numbered by lane_index(lane), never by the local index.
struct Lane {
    @builtin(local_invocation_index) index: u32,
}

struct Scan { before: vec4<f32>, total: vec4<f32> }  // the sums over the lanes before this one, and over all

var<workgroup> running: array<vec4<f32>, WORKGROUP>;

fn lane_index(lane: Lane) -> u32 { return lane.index; }

fn segment_scan(lane: Lane, value: vec4<f32>) -> Scan {
    let at = lane.index % SEGMENT;
    running[lane.index] = value;
    workgroupBarrier();
    for (var step = 1u; step < SEGMENT; step *= 2u) {
        var sum = running[lane.index];
        if at >= step { sum += running[lane.index - step]; }
        workgroupBarrier();
        running[lane.index] = sum;
        workgroupBarrier();
    }
    var before = vec4(0.0);
    if at > 0u { before = running[lane.index - 1u]; }
    let total = running[lane.index - at + SEGMENT - 1u];
    workgroupBarrier();
    return Scan(before, total);
}
