// out[b,j] = bias[j] + Σ_i Σ_r table[i,r,j] · f_r(x[b,i]), f the B-splines and, with BASE, the SiLU, for few samples.
// One workgroup per sample and 32 outputs: 8 groups of 32 lanes share the inputs, 256 at a time, and are added in their order.

override DEGREE: u32 = 3;
override BASE: bool = false;
override HAS_BIAS: bool = false;
const LANES = 32u;
const GROUPS = 8u;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> first: array<u32, 256>;  // the row of the table where a point's functions start
var<workgroup> base_row: array<u32, 256>;
var<workgroup> values: array<array<f32, 8>, 256>;  // its DEGREE + 1 functions, and the SiLU in the last place
var<workgroup> partial: array<f32, 256>;

fn share(lane: u32, sample: u32, i: u32) {
    if i >= params.inputs { return; }
    let at = x[sample * params.inputs + i];
    let cell = cell_of(at, params.grid, params.knots);
    let b = spline_values(cell, 0u, params.grid.z, 1.0);
    first[lane] = i * params.rows + cell.first;
    base_row[lane] = (i + 1u) * params.rows - 1u;
    for (var r = 0u; r <= DEGREE; r++) { values[lane][r] = b[r]; }
    if BASE {
        let e = exp(-abs(at));
        values[lane][7] = at * (select(1.0, e, at < 0.0) / (1.0 + e));
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let output_tiles = (params.outputs + LANES - 1u) / LANES;
    let tile = flat_group(group, groups);
    let sample = tile / output_tiles;
    if sample >= params.batch { return; }
    let j = tile % output_tiles * LANES + lane % LANES;
    let column = min(j, params.outputs - 1u);
    var sum = 0.0;
    for (var start = 0u; start < params.inputs; start += 256u) {
        share(lane, sample, start + lane);
        workgroupBarrier();
        let count = min(256u, params.inputs - start);
        for (var n = lane / LANES; n < count; n += GROUPS) {
            for (var r = 0u; r <= DEGREE; r++) { sum += values[n][r] * table[(first[n] + r) * params.outputs + column]; }
            if BASE { sum += values[n][7] * table[base_row[n] * params.outputs + column]; }
        }
        workgroupBarrier();
    }
    partial[lane] = sum;
    workgroupBarrier();
    if lane >= LANES || j >= params.outputs { return; }
    for (var n = 1u; n < GROUPS; n++) { sum += partial[lane + n * LANES]; }
    if HAS_BIAS { sum += bias[j]; }
    out[sample * params.outputs + j] = sum;
}
