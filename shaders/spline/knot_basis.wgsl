// out[..., i, k] = the ORDER-th derivative of B_k on the knots of input i at clamp(x[..., i]); for ORDER > 0, zero outside. NaN gives NaN.
// One workgroup per WORKGROUP points: a lane works one point out, then the lanes write the rows in order.

override WORKGROUP: u32 = 128;
override DEGREE: u32 = 3;
override ORDER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/knots.wgsl

struct Params { size: u32, inputs: u32, basis: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> knots: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> first: array<u32, WORKGROUP>;
var<workgroup> values: array<array<f32, 7>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let start = flat_group(group, groups) * WORKGROUP;
    if start + lane < params.size {
        let place = place_of(x[start + lane], (start + lane) % params.inputs, params.basis);
        first[lane] = place.span - DEGREE;
        values[lane] = knot_values(place, ORDER);
    }
    workgroupBarrier();
    let points = min(WORKGROUP, max(params.size, start) - start);
    for (var i = lane; i < points * params.basis; i += WORKGROUP) {
        let point = i / params.basis;
        let r = i % params.basis - first[point];  // below the first it wraps around, far above DEGREE
        var value = 0.0;
        if r <= DEGREE { value = values[point][r]; }
        if is_nan(values[point][0]) { value = nan(); }
        out[start * params.basis + i] = value;
    }
}
