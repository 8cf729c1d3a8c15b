// out[c,i,r,j] = Σ over the samples b of split c of f_r(x[b,i]) · g[b,j], f at most 8 cubic or lower B-splines and, with BASE, the SiLU.
// One workgroup per 8 inputs, 256 outputs and split: 32 lanes per input hold all its sums, 8 outputs each. They branch, all alike, on a
// sample's cell, so that only the four functions that are not zero there are multiplied.
// WITH_BIAS: one more row, of the function 1, as if of one more input: the gradient to the bias.

override DEGREE: u32 = 3;
override WITH_BIAS: bool = false;
const DEPTH = 16u;   // samples in shared memory at a time
const INPUTS = 8u;
const QUADS = 64u;   // of outputs
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_cell.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, output_tiles: u32, input_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> arriving: array<vec4<f32>, 1024>;  // DEPTH · QUADS
var<workgroup> values: array<vec4<f32>, 128>;     // DEPTH · INPUTS points
var<workgroup> cells: array<u32, 128>;            // 5: a NaN, which goes to every function
var<workgroup> bases: array<f32, 128>;

// The lane's sums: eight functions and the base, quads lane (l) and 32 further on (h).
var<private> l0: vec4<f32>;
var<private> h0: vec4<f32>;
var<private> l1: vec4<f32>;
var<private> h1: vec4<f32>;
var<private> l2: vec4<f32>;
var<private> h2: vec4<f32>;
var<private> l3: vec4<f32>;
var<private> h3: vec4<f32>;
var<private> l4: vec4<f32>;
var<private> h4: vec4<f32>;
var<private> l5: vec4<f32>;
var<private> h5: vec4<f32>;
var<private> l6: vec4<f32>;
var<private> h6: vec4<f32>;
var<private> l7: vec4<f32>;
var<private> h7: vec4<f32>;
var<private> l8: vec4<f32>;
var<private> h8: vec4<f32>;

fn load_points(lane: u32, first_input: u32, first_sample: u32, end: u32) {
    if lane >= DEPTH * INPUTS { return; }
    let sample = first_sample + lane / INPUTS;
    let i = first_input + lane % INPUTS;
    var point = Point(vec4<f32>(), 0u, 0.0);
    if i < params.inputs && sample < end {
        let at = x[sample * params.inputs + i];
        point = point_of(at);
        if is_nan(at) { point.cell = 5u; }
    }
    if WITH_BIAS && i == params.inputs && sample < end { point.values.x = 1.0; }
    values[lane] = point.values;
    cells[lane] = point.cell;
    bases[lane] = point.base;
}

fn load_arriving(lane: u32, first_quad: u32, first_sample: u32, end: u32) {
    let quads = params.outputs / 4u;
    let quad = first_quad + lane % QUADS;
    for (var n = lane; n < DEPTH * QUADS; n += 256u) {
        let sample = first_sample + n / QUADS;
        var four = vec4<f32>();
        if sample < end && quad < quads { four = g[sample * quads + quad]; }
        arriving[n] = four;
    }
}

fn add(point: u32, low: vec4<f32>, high: vec4<f32>) {
    let v = values[point];
    let x = vec4<f32>(v.x);
    let y = vec4<f32>(v.y);
    let z = vec4<f32>(v.z);
    let w = vec4<f32>(v.w);
    switch cells[point] {
        case 0u: {
            l0 = fma(x, low, l0); h0 = fma(x, high, h0); l1 = fma(y, low, l1); h1 = fma(y, high, h1);
            l2 = fma(z, low, l2); h2 = fma(z, high, h2); l3 = fma(w, low, l3); h3 = fma(w, high, h3);
        }
        case 1u: {
            l1 = fma(x, low, l1); h1 = fma(x, high, h1); l2 = fma(y, low, l2); h2 = fma(y, high, h2);
            l3 = fma(z, low, l3); h3 = fma(z, high, h3); l4 = fma(w, low, l4); h4 = fma(w, high, h4);
        }
        case 2u: {
            l2 = fma(x, low, l2); h2 = fma(x, high, h2); l3 = fma(y, low, l3); h3 = fma(y, high, h3);
            l4 = fma(z, low, l4); h4 = fma(z, high, h4); l5 = fma(w, low, l5); h5 = fma(w, high, h5);
        }
        case 3u: {
            l3 = fma(x, low, l3); h3 = fma(x, high, h3); l4 = fma(y, low, l4); h4 = fma(y, high, h4);
            l5 = fma(z, low, l5); h5 = fma(z, high, h5); l6 = fma(w, low, l6); h6 = fma(w, high, h6);
        }
        case 4u: {
            l4 = fma(x, low, l4); h4 = fma(x, high, h4); l5 = fma(y, low, l5); h5 = fma(y, high, h5);
            l6 = fma(z, low, l6); h6 = fma(z, high, h6); l7 = fma(w, low, l7); h7 = fma(w, high, h7);
        }
        default: {
            l0 += x; l1 += x; l2 += x; l3 += x; l4 += x; l5 += x; l6 += x; l7 += x;
            h0 += x; h1 += x; h2 += x; h3 += x; h4 += x; h5 += x; h6 += x; h7 += x;
        }
    }
    if BASE {
        let b = vec4<f32>(bases[point]);
        l8 = fma(b, low, l8);
        h8 = fma(b, high, h8);
    }
}

fn store_row(row: u32, quad: u32, low: vec4<f32>, high: vec4<f32>) {
    let quads = params.outputs / 4u;
    if quad < quads { out[row * quads + quad] = low; }
    if quad + 32u < quads { out[row * quads + quad + 32u] = high; }
}

fn store(row: u32, quad: u32) {
    if FUNCTIONS > 0u { store_row(row + 0u, quad, l0, h0); }
    if FUNCTIONS > 1u { store_row(row + 1u, quad, l1, h1); }
    if FUNCTIONS > 2u { store_row(row + 2u, quad, l2, h2); }
    if FUNCTIONS > 3u { store_row(row + 3u, quad, l3, h3); }
    if FUNCTIONS > 4u { store_row(row + 4u, quad, l4, h4); }
    if FUNCTIONS > 5u { store_row(row + 5u, quad, l5, h5); }
    if FUNCTIONS > 6u { store_row(row + 6u, quad, l6, h6); }
    if FUNCTIONS > 7u { store_row(row + 7u, quad, l7, h7); }
    if BASE { store_row(row + FUNCTIONS, quad, l8, h8); }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_quad = tile % params.output_tiles * QUADS;
    let first_input = tile / params.output_tiles % params.input_tiles * INPUTS;
    let c = tile / params.output_tiles / params.input_tiles;
    if c >= params.splits { return; }
    let own = lane / 32u;
    let quad = lane % 32u;
    let end = min((c + 1u) * params.split, params.batch);
    for (var first_sample = c * params.split; first_sample < end; first_sample += DEPTH) {
        load_points(lane, first_input, first_sample, end);
        load_arriving(lane, first_quad, first_sample, end);
        workgroupBarrier();
        for (var n = 0u; n < DEPTH; n++) {
            add(n * INPUTS + own, arriving[n * QUADS + quad], arriving[n * QUADS + 32u + quad]);
        }
        workgroupBarrier();
    }
    let i = first_input + own;
    let row = c * (params.inputs * ROWS + u32(WITH_BIAS)) + i * ROWS;
    if i < params.inputs { store(row, first_quad + quad); }
    if WITH_BIAS && i == params.inputs { store_row(row, first_quad + quad, l0, h0); }
}
