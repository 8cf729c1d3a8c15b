// out[r, i] = Σ x[r, k] over k ≤ i (k ≥ i with REVERSE) of i's part of the row, + the sum of the parts before it.
// SEGMENT lanes per part, WORKGROUP / SEGMENT parts per workgroup; four vec4s per lane and step.

override WORKGROUP: u32 = 256;
override REVERSE: u32 = 0;
override HAS_START: u32 = 0;
//!include lib/index.wgsl
//!include lib/row_span.wgsl
//!include lib/row_x.wgsl
//!include lib/row_out.wgsl
//!include lib/scan.wgsl

// A row has `parts` parts of `chunk` elements, the last one what is left; start holds the running sums of their totals.
struct Params { rows: u32, cols: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> start: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// The sum of all parts of the row that come before this one in the direction of the scan.
fn sum_before(part: u32) -> f32 {
    let p = part % params.parts;
    if HAS_START == 0u || p == select(0u, params.parts - 1u, REVERSE == 1u) { return 0.0; }
    return start[select(part - 1u, part + 1u, REVERSE == 1u)];
}

// The k-th vec4 in the direction of the scan; behind the last one it wraps round to one that is not inside.
fn along(k: u32) -> u32 { return select(k, row_quads - 1u - k, REVERSE == 1u); }

fn turned(v: vec4<f32>) -> vec4<f32> { return select(v, v.wzyx, REVERSE == 1u); }

fn elements(k: u32) -> vec4<f32> { return turned(select(vec4(0.0), read_x(along(k)), inside(along(k)))); }

fn sums(v: vec4<f32>) -> vec4<f32> {
    let two = v.x + v.y;
    return vec4(v.x, two, two + v.z, two + (v.z + v.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let part = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let row = part / params.parts;
    let offset = part % params.parts * params.chunk;
    take_span(row * params.cols + offset, select(0u, min(params.chunk, params.cols - offset), row < params.rows), index % SEGMENT);
    var carry = 0.0;
    if row < params.rows { carry = sum_before(part); }
    let most = (min(params.chunk, params.cols) + 6u) / 4u;  // vec4s of any part: all lanes take as many steps
    for (var k = row_at; k < most + row_at; k += 4u * SEGMENT) {
        let a = sums(elements(k));
        let b = sums(elements(k + SEGMENT));
        let c = sums(elements(k + 2u * SEGMENT));
        let d = sums(elements(k + 3u * SEGMENT));
        let scan = segment_scan(lane, vec4(a.w, b.w, c.w, d.w));
        let earlier = sums(scan.total);
        put(along(k), turned(carry + (scan.before.x + a)));
        put(along(k + SEGMENT), turned(carry + earlier.x + (scan.before.y + b)));
        put(along(k + 2u * SEGMENT), turned(carry + earlier.y + (scan.before.z + c)));
        put(along(k + 3u * SEGMENT), turned(carry + earlier.z + (scan.before.w + d)));
        carry += earlier.w;
    }
}
