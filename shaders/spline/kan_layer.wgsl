// out[b,j] = bias[j] + Σ_i scale[b,i] · Σ_k table[i,k,j] · (ORDER-th derivative of B_k)(x[b,i]), over the functions not zero there.
// One workgroup per LANES · 4 outputs and SAMPLES samples; the basis of SAMPLES × INPUTS points is shared, lanes own outputs.

override LANES: u32 = 64;
override DEGREE: u32 = 3;
override COLUMNS: u32 = 4;  // outputs per lane, 1 or 4, LANES apart
override ORDER: u32 = 0;
override HAS_BIAS: bool = false;
override HAS_SCALE: bool = false;
const SAMPLES = 8u;
const INPUTS = 16u;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, basis: u32, output_tiles: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> row: array<u32, 128>;  // SAMPLES × INPUTS: the row of the table where a point's functions start
var<workgroup> values: array<array<f32, 7>, 128>;

fn share_basis(lane: u32, first_sample: u32, first_input: u32) {
    for (var n = lane; n < SAMPLES * INPUTS; n += LANES) {
        let sample = min(first_sample + n / INPUTS, params.batch - 1u);
        let i = min(first_input + n % INPUTS, params.inputs - 1u);
        let at = sample * params.inputs + i;
        let cell = cell_of(x[at], params.grid, params.knots);
        var factor = 1.0;
        if HAS_SCALE { factor = scale[at]; }
        row[n] = i * params.basis + cell.first;
        values[n] = spline_values(cell, ORDER, params.grid.z, factor);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = tile % params.output_tiles * LANES * COLUMNS + lane;
    let first_sample = tile / params.output_tiles * SAMPLES;
    let j = min(first_output + vec4(0u, 1u, 2u, 3u) * LANES, vec4(params.outputs - 1u));
    var sums: array<vec4<f32>, SAMPLES>;
    for (var first_input = 0u; first_input < params.inputs; first_input += INPUTS) {
        share_basis(lane, first_sample, first_input);
        workgroupBarrier();
        let count = min(INPUTS, params.inputs - first_input);
        var part = array<vec4<f32>, SAMPLES>();  // short sums added up keep more digits than one long one
        for (var i = 0u; i < count; i++) {
            for (var s = 0u; s < SAMPLES; s++) {
                let n = s * INPUTS + i;
                for (var r = 0u; r <= DEGREE; r++) {
                    let at = (row[n] + r) * params.outputs + j;
                    if COLUMNS == 1u {
                        part[s].x += values[n][r] * table[at.x];
                    } else {
                        part[s] += values[n][r] * vec4(table[at.x], table[at.y], table[at.z], table[at.w]);
                    }
                }
            }
        }
        for (var s = 0u; s < SAMPLES; s++) { sums[s] += part[s]; }
        workgroupBarrier();
    }
    var add = vec4(0.0);
    if HAS_BIAS { add = vec4(bias[j.x], bias[j.y], bias[j.z], bias[j.w]); }
    for (var s = 0u; s < SAMPLES; s++) {
        if first_sample + s >= params.batch { break; }
        for (var q = 0u; q < COLUMNS; q++) {
            let column = first_output + q * LANES;
            if column < params.outputs { out[(first_sample + s) * params.outputs + column] = sums[s][q] + add[q]; }
        }
    }
}
