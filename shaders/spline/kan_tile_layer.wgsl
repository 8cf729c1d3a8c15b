// out[c,b,j] = bias[j] + Σ over the inputs i of split c of Σ_r table[i,r,j] · f_r(x[b,i]), f the B-splines and, with BASE, the SiLU.
// One workgroup per TILE samples, TILE outputs and split; the functions of INPUTS inputs at a time are worked out in shared memory.

override DEGREE: u32 = 3;
override INPUTS: u32 = 2;  // per slice, 1 or 2; DEPTH = INPUTS · ROWS
override HAS_BIAS: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_point.wgsl
//!include lib/kan_tile.wgsl
//!include lib/kan_store.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, output_tiles: u32, sample_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn put(row: u32, sample: u32, value: f32) { left[row * QUADS + sample / 4u][sample % 4u] = value; }

fn table_value(i: u32) -> f32 { return table[i / 4u][i % 4u]; }

fn fetch_point(n: u32, first_sample: u32, first_input: u32) -> f32 {
    let sample = min(first_sample + n % TILE, params.batch - 1u);
    return x[sample * params.inputs + min(first_input + n / TILE, params.inputs - 1u)];
}

fn fetch_table(n: u32, first_output: u32, first_input: u32, end: u32) -> vec4<f32> {
    let row = n / QUADS;
    let j = first_output + n % QUADS * 4u;
    if n >= LENGTH || j >= params.outputs || first_input + row / ROWS >= end { return vec4<f32>(); }
    let at = (first_input * ROWS + row) * params.outputs + j;
    if VECTOR { return table[at / 4u]; }
    var four = vec4<f32>(table_value(at), 0.0, 0.0, 0.0);
    if j + 1u < params.outputs { four.y = table_value(at + 1u); }
    if j + 2u < params.outputs { four.z = table_value(at + 2u); }
    if j + 3u < params.outputs { four.w = table_value(at + 3u); }
    return four;
}

// Into shared memory: the functions of a point, and up to three quads of the table.
fn share(n: u32, at: f32, inside: bool, t0: vec4<f32>, t1: vec4<f32>, t2: vec4<f32>) {
    if n < TILE * INPUTS {
        if inside { put_functions(n / TILE * ROWS, n % TILE, at, 0u); } else { put_nothing(n / TILE * ROWS, n % TILE); }
    }
    if n < LENGTH { right[n] = t0; }
    if n + 256u < LENGTH { right[n + 256u] = t1; }
    if n + 512u < LENGTH { right[n + 512u] = t2; }
}

fn finish(sums: vec4<f32>, j: u32) -> vec4<f32> {
    if !HAS_BIAS { return sums; }
    let last = params.outputs - 1u;
    return sums + vec4<f32>(bias[j], bias[min(j + 1u, last)], bias[min(j + 2u, last)], bias[min(j + 3u, last)]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = tile % params.output_tiles * TILE;
    let first_sample = tile / params.output_tiles % params.sample_tiles * TILE;
    let c = tile / params.output_tiles / params.sample_tiles;
    if c >= params.splits { return; }
    let place = place_of(lane);
    let end = min((c + 1u) * params.split, params.inputs);
    let start = c * params.split;
    var at = fetch_point(lane, first_sample, start);
    var t0 = fetch_table(lane, first_output, start, end);
    var t1 = fetch_table(lane + 256u, first_output, start, end);
    var t2 = fetch_table(lane + 512u, first_output, start, end);
    for (var first_input = start; first_input < end; first_input += INPUTS) {
        share(lane, at, first_input + lane / TILE < end, t0, t1, t2);
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied.
        let next = first_input + INPUTS;
        at = fetch_point(lane, first_sample, next);
        t0 = fetch_table(lane, first_output, next, end);
        t1 = fetch_table(lane + 256u, first_output, next, end);
        t2 = fetch_table(lane + 512u, first_output, next, end);
        add_products(place, 0u);
        workgroupBarrier();
    }
    store_tile(c * params.batch * params.outputs, vec2<u32>(first_sample, first_output), place, vec2<u32>(params.batch, params.outputs));
}
