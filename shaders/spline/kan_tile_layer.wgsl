// out[c,b,j] = bias[j] + Σ over the inputs i of split c of Σ_r table[i,r,j] · f_r(x[b,i]), f the B-splines and, with BASE, the SiLU.
// One workgroup per TILE samples, TILE outputs and split; the functions of INPUTS inputs at a time are worked out in shared memory.

override DEGREE: u32 = 3;
override INPUTS: u32 = 2;  // per slice, 1 or, with TILE 64, 2; DEPTH = INPUTS · ROWS
override HAS_BIAS: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_point.wgsl
//!include lib/kan_tile.wgsl
//!include lib/kan_store.wgsl
//!include lib/kan_table.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, output_tiles: u32, sample_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

fn put(row: u32, sample: u32, value: f32) { left_put(row, sample, value); }

fn fetch_point(n: u32, first_sample: u32, first_input: u32) -> f32 {
    let sample = min(first_sample + n % TILE, params.batch - 1u);
    return x[sample * params.inputs + min(first_input + n / TILE, params.inputs - 1u)];
}

fn fetch_table(n: u32, first_output: u32, first_input: u32) -> vec4<f32> {
    let row = min(first_input * ROWS + n / QUADS, params.inputs * ROWS - 1u);
    return table_four(row * params.outputs, first_output + n % QUADS * 4u);
}

// Into shared memory: the functions of a point, and what of the table comes with it.
fn share(n: u32, at: f32, inside: bool) {
    if n >= TILE * INPUTS { return; }
    if inside { put_functions(n / TILE * ROWS, n % TILE, at, 0u); } else { put_nothing(n / TILE * ROWS, n % TILE); }
}

// left_over: rows of the split from here on; past them the functions are zeros, and zero times infinity is none.
fn share_table(n: u32, left_over: u32, four: vec4<f32>) {
    if n >= LENGTH { return; }
    let row = n / QUADS;
    if INPUTS > 1u {
        right_set(row, n % QUADS, select(vec4<f32>(), four, row < left_over));
    } else {
        right_set(row, n % QUADS, four);
    }
}

fn finish(sums: vec4<f32>, j: u32) -> vec4<f32> {
    if !HAS_BIAS { return sums; }
    let last = params.outputs - 1u;
    return sums + vec4<f32>(bias[j], bias[min(j + 1u, last)], bias[min(j + 2u, last)], bias[min(j + 3u, last)]);
}

@compute @workgroup_size(WORKGROUP)
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
    // A slice of the table is up to two quads per invocation of 256, up to six of 128.
    var at = fetch_point(lane, first_sample, start);
    var t0 = fetch_table(lane, first_output, start);
    var t1 = vec4<f32>();
    var t2 = vec4<f32>();
    var t3 = vec4<f32>();
    var t4 = vec4<f32>();
    var t5 = vec4<f32>();
    if LENGTH > WORKGROUP { t1 = fetch_table(lane + WORKGROUP, first_output, start); }
    if LENGTH > 2u * WORKGROUP { t2 = fetch_table(lane + 2u * WORKGROUP, first_output, start); }
    if LENGTH > 3u * WORKGROUP { t3 = fetch_table(lane + 3u * WORKGROUP, first_output, start); }
    if LENGTH > 4u * WORKGROUP { t4 = fetch_table(lane + 4u * WORKGROUP, first_output, start); }
    if LENGTH > 5u * WORKGROUP { t5 = fetch_table(lane + 5u * WORKGROUP, first_output, start); }
    for (var first_input = start; first_input < end; first_input += INPUTS) {
        let left_over = (end - first_input) * ROWS;
        share(lane, at, first_input + lane / TILE < end);
        share_table(lane, left_over, t0);
        share_table(lane + WORKGROUP, left_over, t1);
        share_table(lane + 2u * WORKGROUP, left_over, t2);
        share_table(lane + 3u * WORKGROUP, left_over, t3);
        share_table(lane + 4u * WORKGROUP, left_over, t4);
        share_table(lane + 5u * WORKGROUP, left_over, t5);
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied.
        let next = first_input + INPUTS;
        at = fetch_point(lane, first_sample, next);
        t0 = fetch_table(lane, first_output, next);
        if LENGTH > WORKGROUP { t1 = fetch_table(lane + WORKGROUP, first_output, next); }
        if LENGTH > 2u * WORKGROUP { t2 = fetch_table(lane + 2u * WORKGROUP, first_output, next); }
        if LENGTH > 3u * WORKGROUP { t3 = fetch_table(lane + 3u * WORKGROUP, first_output, next); }
        if LENGTH > 4u * WORKGROUP { t4 = fetch_table(lane + 4u * WORKGROUP, first_output, next); }
        if LENGTH > 5u * WORKGROUP { t5 = fetch_table(lane + 5u * WORKGROUP, first_output, next); }
        add_products(place);
        workgroupBarrier();
    }
    store_tile(c * params.batch * params.outputs, vec2<u32>(first_sample, first_output), place, vec2<u32>(params.batch, params.outputs));
}
