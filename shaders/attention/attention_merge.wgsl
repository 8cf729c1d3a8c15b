// out = Σ exp(part_lse_i - lse)·part_i with lse = log Σ exp(part_lse_i): one result from those of disjoint sets of the keys.
// One workgroup per query and 32 elements: 8 slices walk the parts, each with a maximum of its own, and join at the end.

override WORKGROUP: u32 = 256;
const WIDE = 32u;
const SLICES = 8u;
const BEGIN = -1e38;  // where maxima begin: exp(-infinity - BEGIN) = 0, the weight of a part without any visible key
//!include lib/index.wgsl
//!include lib/float.wgsl

struct Params { rows: u32, parts: u32, dim: u32 }

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> part_lse: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// greatest, total and sum of one slice and element
var<workgroup> found: array<vec3<f32>, 256>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let blocks = (params.dim + WIDE - 1u) / WIDE;
    let number = flat_group(group, groups);
    let row = number / blocks;
    if row >= params.rows { return; }
    let c = number % blocks * WIDE + lane % WIDE;
    let column = min(c, params.dim - 1u);
    let start = row * params.parts;
    let end = start + params.parts;
    var greatest = BEGIN;
    var total = 0.0;
    var sum = 0.0;
    for (var t = start + lane / WIDE; t < end; t += 4u * SLICES) {
        let four = t + SLICES * vec4<u32>(0u, 1u, 2u, 3u);
        let at = min(four, vec4<u32>(end - 1u));
        let values = vec4<f32>(
            parts[at.x * params.dim + column], parts[at.y * params.dim + column],
            parts[at.z * params.dim + column], parts[at.w * params.dim + column]);
        let of_parts = select(
            vec4<f32>(-infinity()), vec4<f32>(part_lse[at.x], part_lse[at.y], part_lse[at.z], part_lse[at.w]), four < vec4<u32>(end));
        let now = max(max(max(greatest, of_parts.x), max(of_parts.y, of_parts.z)), of_parts.w);
        let factor = exp(greatest - now);
        let shares = exp(of_parts - now);
        total = total * factor + dot(shares, vec4<f32>(1.0));
        sum = sum * factor + dot(shares, values);
        greatest = now;
    }
    found[lane] = vec3<f32>(greatest, total, sum);
    workgroupBarrier();
    if lane >= WIDE || c >= params.dim { return; }
    for (var t = 1u; t < SLICES; t++) { greatest = max(greatest, found[t * WIDE + lane].x); }
    total = 0.0;
    sum = 0.0;
    for (var t = 0u; t < SLICES; t++) {
        let slice = found[t * WIDE + lane];
        let share = exp(slice.x - greatest);
        total += share * slice.y;
        sum += share * slice.z;
    }
    out[row * params.dim + c] = select(sum / total, 0.0, total == 0.0);
    if c == 0u { lse[row] = select(greatest + log(total), -infinity(), total == 0.0); }
}
