// out[c,i,k,j] = Σ over the samples b of split c of g[b,j] · scale[b,i] · (ORDER-th derivative of B_k)(x[b,i]).
// One workgroup per input, LANES · 4 outputs and split. It sorts LANES · 4 samples at a time by their cell, so that the DEGREE + 1
// running sums stay in registers while a cell lasts and every coefficient is written once per round, in a fixed order.

override LANES: u32 = 64;
override DEGREE: u32 = 3;
override ORDER: u32 = 0;
override HAS_SCALE: bool = false;
const ROUND = 4u;  // samples per lane and round
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, basis: u32, output_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// A sample's key is its cell times the samples of a round, plus its number in the round.
var<workgroup> keys: array<vec4<u32>, LANES>;
var<workgroup> sorted: array<u32, LANES * ROUND>;
var<workgroup> values: array<array<f32, 7>, LANES * ROUND>;

// Sorts the samples begin..begin + count of input i by cell: each key's place is the number of smaller keys.
fn sort_round(lane: u32, i: u32, begin: u32, count: u32) {
    var mine = vec4(0xffffffffu);
    var b: array<array<f32, 7>, ROUND>;
    for (var q = 0u; q < ROUND; q++) {
        let n = q * LANES + lane;
        if n < count {
            let at = (begin + n) * params.inputs + i;
            let cell = cell_of(x[at], params.grid, params.knots);
            var factor = 1.0;
            if HAS_SCALE { factor = scale[at]; }
            mine[q] = cell.first * LANES * ROUND + n;
            b[q] = spline_values(cell, ORDER, params.grid.z, factor);
        }
    }
    keys[lane] = mine;
    workgroupBarrier();
    var rank = vec4(0u);
    for (var n = 0u; n < LANES; n++) {
        let other = keys[n];
        rank += vec4<u32>(vec4(other.x) < mine) + vec4<u32>(vec4(other.y) < mine)
            + vec4<u32>(vec4(other.z) < mine) + vec4<u32>(vec4(other.w) < mine);
    }
    for (var q = 0u; q < ROUND; q++) {
        if q * LANES + lane < count {
            sorted[rank[q]] = mine[q];
            values[rank[q]] = b[q];
        }
    }
    workgroupBarrier();
}

// Adds to, or in the first round writes, coefficient k of the lane's outputs.
fn store(row: u32, first_output: u32, sums: vec4<f32>, fresh: bool) {
    for (var q = 0u; q < 4u; q++) {
        let j = first_output + q * LANES;
        if j < params.outputs {
            let at = row * params.outputs + j;
            if fresh { out[at] = sums[q]; } else { out[at] += sums[q]; }
        }
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = tile % params.output_tiles * LANES * 4u + lane;
    let i = tile / params.output_tiles % params.inputs;
    let c = tile / params.output_tiles / params.inputs;
    if c >= params.splits { return; }
    let j = min(first_output + vec4(0u, 1u, 2u, 3u) * LANES, vec4(params.outputs - 1u));
    let rows = (c * params.inputs + i) * params.basis;
    let start = c * params.split;
    let end = min(start + params.split, params.batch);
    for (var begin = start; begin < end; begin += LANES * ROUND) {
        let count = min(LANES * ROUND, end - begin);
        sort_round(lane, i, begin, count);
        var sums: array<vec4<f32>, 7>;
        var poison = 0.0;  // a NaN among the points makes every function's value NaN
        var k = 0u;
        for (var n = 0u; n < count; n++) {
            let first = sorted[n] / (LANES * ROUND);
            for (; k < first; k++) {  // the cells up to this one are complete
                store(rows + k, first_output, sums[0] + poison, begin == start);
                for (var r = 0u; r < DEGREE; r++) { sums[r] = sums[r + 1u]; }
                sums[DEGREE] = vec4(0.0);
            }
            if is_nan(values[n][0]) { poison = nan(); }  // such points stand in the first cell, before anything is stored
            let from_here = (begin + sorted[n] % (LANES * ROUND)) * params.outputs + j;
            let arriving = vec4(g[from_here.x], g[from_here.y], g[from_here.z], g[from_here.w]);
            for (var r = 0u; r <= DEGREE; r++) { sums[r] += values[n][r] * arriving; }
        }
        for (; k < params.basis; k++) {
            store(rows + k, first_output, sums[0] + poison, begin == start);
            for (var r = 0u; r < DEGREE; r++) { sums[r] = sums[r + 1u]; }
            sums[DEGREE] = vec4(0.0);
        }
        workgroupBarrier();
    }
}
