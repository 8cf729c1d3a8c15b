// out = activation(a·b + bias): vector [rows] times matrix [rows, cols] (f32, f16 or bf16); or that of each block of rows.
// A workgroup takes ACROSS lanes of 16 bytes along the columns, the others down the rows of its block; then one sum over those.

override WORKGROUP: u32 = 256;
override ACROSS: u32 = 8;  // a power of two, at most WORKGROUP
override STEPS: u32 = 4;   // rows per lane whose loads are under way at once: 1, 2, 4 or 8
override WIDTH: u32 = 1;   // columns per lane: 4 (f32) or 8 (16 bits) where cols is a multiple of it, else 1
override HAS_BIAS: bool = false;
override DOWN: u32 = WORKGROUP / ACROSS;
override SLOTS: u32 = WORKGROUP;  // twice that where WIDTH is 8
//!include lib/index.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl

struct Params { rows: u32, cols: u32, parts: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<vec4<f32>, SLOTS>;  // low, then high, of each lane
var<private> low: vec4<f32>;
var<private> high: vec4<f32>;

// Adds a row's WIDTH columns from c, times the vector's element.
fn add(row: u32, c: u32) {
    let x = a[row];
    let at = row * params.cols + c;
    if WIDTH == 1u { low.x += x * read_weight(at); }
    if WIDTH == 4u { low += x * weights_low(b[at >> 2u]); }
    if WIDTH == 8u {
        let w = b[at >> 3u];
        low += x * weights_low(w);
        high += x * weights_high(w);
    }
}

// Written out, so that the loads of all steps are under way before the first product.
fn two(row: u32, c: u32) { add(row, c); add(row + DOWN, c); }
fn four(row: u32, c: u32) { two(row, c); two(row + 2u * DOWN, c); }
fn steps(row: u32, c: u32) {
    if STEPS == 1u { add(row, c); }
    if STEPS == 2u { two(row, c); }
    if STEPS == 4u { four(row, c); }
    if STEPS == 8u { four(row, c); four(row + 4u * DOWN, c); }
}

// Adds up what the lanes of each column have; the first ACROSS lanes get it.
fn column_sums(lane: u32) {
    sums[lane] = low;
    if WIDTH == 8u { sums[WORKGROUP + lane] = high; }
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= ACROSS; stride /= 2u) {
        if lane < stride {
            sums[lane] += sums[lane + stride];
            if WIDTH == 8u { sums[WORKGROUP + lane] += sums[WORKGROUP + lane + stride]; }
        }
        workgroupBarrier();
    }
}

fn store(start: u32, c: u32, sum: f32) {
    var value = sum;
    if HAS_BIAS { value += bias[c]; }
    out[start + c] = activate(value);
}

fn store4(start: u32, c: u32, four: vec4<f32>) {
    store(start, c, four.x);
    store(start, c + 1u, four.y);
    store(start, c + 2u, four.z);
    store(start, c + 3u, four.w);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let across = (params.cols + ACROSS * WIDTH - 1u) / (ACROSS * WIDTH);
    let g = flat_group(group, groups);
    let c = (g % across * ACROSS + lane % ACROSS) * WIDTH;
    let part = g / across;
    let each = (params.rows + params.parts - 1u) / params.parts;
    let inside = c < params.cols && part < params.parts;
    if inside {
        let end = min(params.rows, (part + 1u) * each);
        var row = part * each + lane / ACROSS;
        for (; row + (STEPS - 1u) * DOWN < end; row += STEPS * DOWN) { steps(row, c); }
        for (; row < end; row += DOWN) { add(row, c); }
    }
    column_sums(lane);
    if lane >= ACROSS || !inside { return; }
    if WIDTH == 1u { store(part * params.cols, c, sums[lane].x); return; }
    store4(part * params.cols, c, sums[lane]);
    if WIDTH == 8u { store4(part * params.cols, c + 4u, sums[WORKGROUP + lane]); }
}
