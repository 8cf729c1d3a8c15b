// out[r, i] = Σ x[r, k] over k ≤ i (k ≥ i with REVERSE) of i's part of the row, + the sum of the parts before it.
// One workgroup per part, four neighbouring elements per lane and step.

override WORKGROUP: u32 = 256;
override REVERSE: u32 = 0;
override HAS_START: u32 = 0;
//!include lib/index.wgsl
//!include lib/scan.wgsl

// A row has `parts` parts of `chunk` elements, the last one what is left; start holds the running sums of their totals.
struct Params { rows: u32, cols: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> start: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// The sum of all parts of the row that come before this one in the direction of the scan.
fn sum_before(part: u32) -> f32 {
    let p = part % params.parts;
    if HAS_START == 0u || p == select(0u, params.parts - 1u, REVERSE == 1u) { return 0.0; }
    return start[select(part - 1u, part + 1u, REVERSE == 1u)];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = flat_group(group, groups);
    if part >= params.rows * params.parts { return; }
    let offset = part % params.parts * params.chunk;
    let count = min(params.chunk, params.cols - offset);
    let first = part / params.parts * params.cols + offset;
    var carry = sum_before(part);
    for (var tile = 0u; tile < count; tile += 4u * WORKGROUP) {
        var sums: array<f32, 4>;
        var sum = 0.0;
        for (var j = 0u; j < 4u; j++) {
            let i = tile + 4u * lane + j;
            if i < count { sum += x[first + select(i, count - 1u - i, REVERSE == 1u)]; }
            sums[j] = sum;
        }
        let scanned = workgroup_scan(lane, sum);
        for (var j = 0u; j < 4u; j++) {
            let i = tile + 4u * lane + j;
            if i < count { out[first + select(i, count - 1u - i, REVERSE == 1u)] = carry + (scanned.x + sums[j]); }
        }
        carry += scanned.y;
    }
}
