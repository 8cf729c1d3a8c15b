// Running sums over a workgroup of WORKGROUP lanes (an override of the including file); every lane must call.
var<workgroup> running: array<f32, WORKGROUP>;

// (the sum of the values of the lanes before this one, the sum of all)
fn workgroup_scan(lane: u32, value: f32) -> vec2<f32> {
    running[lane] = value;
    workgroupBarrier();
    for (var step = 1u; step < WORKGROUP; step *= 2u) {
        var sum = running[lane];
        if lane >= step { sum += running[lane - step]; }
        workgroupBarrier();
        running[lane] = sum;
        workgroupBarrier();
    }
    var before = 0.0;
    if lane > 0u { before = running[lane - 1u]; }
    let total = running[WORKGROUP - 1u];
    workgroupBarrier();
    return vec2(before, total);
}
