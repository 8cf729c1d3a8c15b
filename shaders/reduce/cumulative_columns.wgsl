// out[o, i, c] = Σ x[o, k, c] over k ≤ i (k ≥ i with REVERSE) of i's part of the column, + the sum of the parts before it.
// One invocation per part of a column, so that neighbours read neighbouring columns.

override WORKGROUP: u32 = 256;
override REVERSE: u32 = 0;
override HAS_START: u32 = 0;
//!include lib/index.wgsl

// A column has `parts` parts of `chunk` elements, the last one what is left; start holds the running sums of their totals.
struct Params { total: u32, inner: u32, reduced: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> start: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let at = flat_group(group, groups) * WORKGROUP + lane;
    if at >= params.total { return; }
    let part = at / params.inner;  // of all parts of all outer indices
    let p = part % params.parts;
    let count = min(params.chunk, params.reduced - p * params.chunk);
    let first = (part / params.parts * params.reduced + p * params.chunk) * params.inner + at % params.inner;
    var before = 0.0;
    if HAS_START == 1u && p != select(0u, params.parts - 1u, REVERSE == 1u) {
        before = start[select(at - params.inner, at + params.inner, REVERSE == 1u)];
    }
    var sum = 0.0;
    for (var i = 0u; i < count; i++) {
        let here = first + select(i, count - 1u - i, REVERSE == 1u) * params.inner;
        sum += x[here];
        out[here] = before + sum;
    }
}
