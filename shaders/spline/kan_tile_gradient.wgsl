// out[c,i,r,j] = Σ over the samples b of split c of f_r(x[b,i]) · g[b,j], f the B-splines and, with BASE, the SiLU.
// One workgroup per INPUTS inputs (the rows of its tile), TILE outputs and split; DEPTH samples at a time in shared memory.
// WITH_BIAS: one more row, of the function 1, as if of one more input: the gradient to the bias.

override DEGREE: u32 = 3;
override WITH_BIAS: bool = false;
override INPUTS: u32 = 8;  // INPUTS · ROWS is at most TILE, INPUTS at most 16; DEPTH is 16 with TILE 64 and 8 with TILE 128
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_point.wgsl
//!include lib/kan_tile.wgsl
//!include lib/kan_store.wgsl
//!include lib/kan_arriving.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, output_tiles: u32, input_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn put(row: u32, sample: u32, value: f32) { left_put(sample, row, value); }

fn fetch_point(n: u32, first_input: u32, first_sample: u32) -> f32 {
    let sample = min(first_sample + n / INPUTS, params.batch - 1u);
    return x[sample * params.inputs + min(first_input + n % INPUTS, params.inputs - 1u)];
}

fn fetch_arriving(n: u32, first_output: u32, first_sample: u32) -> vec4<f32> {
    return arriving_four(min(first_sample + n / QUADS, params.batch - 1u) * params.outputs, first_output + n % QUADS * 4u);
}

// Into shared memory: the functions of a point, and what arrives with it.
fn share(n: u32, i: u32, at: f32, inside: bool) {
    if n >= DEPTH * INPUTS { return; }
    let row = n % INPUTS * ROWS;
    if inside && i < params.inputs {
        put_functions(row, n / INPUTS, at, n / 4u);
    } else {
        put_nothing(row, n / INPUTS);
        if WITH_BIAS && inside && i == params.inputs { put(row, n / INPUTS, 1.0); }
    }
}

// left_over: samples of the split from here on; past them the functions are zeros, and zero times infinity is none.
fn share_arriving(n: u32, left_over: u32, four: vec4<f32>) {
    if n < LENGTH { right_set(n / QUADS, n % QUADS, select(vec4<f32>(), four, n / QUADS < left_over)); }
}

fn finish(sums: vec4<f32>, j: u32) -> vec4<f32> { return sums; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = tile % params.output_tiles * TILE;
    let first_input = tile / params.output_tiles % params.input_tiles * INPUTS;
    let c = tile / params.output_tiles / params.input_tiles;
    if c >= params.splits { return; }
    let place = place_of(lane);
    let end = min((c + 1u) * params.split, params.batch);
    let start = c * params.split;
    // A slice of g is one quad per invocation of 256, two of 128.
    var at = fetch_point(lane, first_input, start);
    var g0 = fetch_arriving(lane, first_output, start);
    var g1 = vec4<f32>();
    if LENGTH > WORKGROUP { g1 = fetch_arriving(lane + WORKGROUP, first_output, start); }
    for (var first_sample = start; first_sample < end; first_sample += DEPTH) {
        share(lane, first_input + lane % INPUTS, at, first_sample + lane / INPUTS < end);
        share_arriving(lane, end - first_sample, g0);
        share_arriving(lane + WORKGROUP, end - first_sample, g1);
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied.
        let next = first_sample + DEPTH;
        at = fetch_point(lane, first_input, next);
        g0 = fetch_arriving(lane, first_output, next);
        if LENGTH > WORKGROUP { g1 = fetch_arriving(lane + WORKGROUP, first_output, next); }
        add_products(place);
        workgroupBarrier();
    }
    let total = params.inputs * ROWS + u32(WITH_BIAS);
    let first_row = first_input * ROWS;
    let limit = vec2<u32>(min(INPUTS * ROWS, total - first_row), params.outputs);
    store_tile((c * total + first_row) * params.outputs, vec2<u32>(0u, first_output), place, limit);
}
