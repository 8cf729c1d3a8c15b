// out = activation(b·a + bias): matrix [rows, cols] (f32, f16 or bf16) times vector [cols].
// SEGMENT lanes per ROWS rows, 16 bytes of a row per lane and load; STEPS loads of every row are under way at once.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 128;  // a power of two, at most WORKGROUP
override ROWS: u32 = 2;       // 1, 2 or 4
override STEPS: u32 = 2;      // 1, 2, 4 or 8
override WIDTH: u32 = 1;      // elements per load: 4 (f32) or 8 (16 bits) where cols is a multiple of it, else 1
override HAS_BIAS: bool = false;
override STRIDE: u32 = SEGMENT * WIDTH;
//!include lib/index.wgsl
//!include lib/row_sums.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn at(row: u32, c: u32) -> u32 { return min(row, params.rows - 1u) * params.cols + c; }

fn load(row: u32, c: u32) -> Weights {
    if WIDTH == 4u { return b[at(row, c) >> 2u]; }
    return b[at(row, c) >> 3u];
}

fn times(w: Weights, low: vec4<f32>, high: vec4<f32>) -> f32 {
    if WIDTH == 4u { return dot(weights_low(w), low); }
    return dot(weights_low(w), low) + dot(weights_high(w), high);
}

fn single(row: u32, c: u32) -> vec4<f32> {
    var four = vec4<f32>(read_weight(at(row, c)), 0.0, 0.0, 0.0);
    if ROWS > 1u { four.y = read_weight(at(row + 1u, c)); }
    if ROWS > 2u {
        four.z = read_weight(at(row + 2u, c));
        four.w = read_weight(at(row + 3u, c));
    }
    return a[c >> 2u][c & 3u] * four;
}

// WIDTH elements of ROWS rows times those of the vector, all loads first: that order alone is worth up to a fifth. A row
// past the end repeats the last one and is not stored.
fn part(row: u32, c: u32) -> vec4<f32> {
    if WIDTH == 1u { return single(row, c); }
    let low = a[c >> 2u];
    var high = low;
    if WIDTH == 8u { high = a[(c >> 2u) + 1u]; }
    let w0 = load(row, c);
    if ROWS == 1u { return vec4<f32>(times(w0, low, high), 0.0, 0.0, 0.0); }
    let w1 = load(row + 1u, c);
    if ROWS == 2u { return vec4<f32>(times(w0, low, high), times(w1, low, high), 0.0, 0.0); }
    let w2 = load(row + 2u, c);
    let w3 = load(row + 3u, c);
    return vec4<f32>(times(w0, low, high), times(w1, low, high), times(w2, low, high), times(w3, low, high));
}

// Written out, so that the loads of all steps are under way before the first product.
fn two(row: u32, c: u32) -> vec4<f32> { return part(row, c) + part(row, c + STRIDE); }
fn four(row: u32, c: u32) -> vec4<f32> { return two(row, c) + two(row, c + 2u * STRIDE); }
fn steps(row: u32, c: u32) -> vec4<f32> {
    if STEPS == 1u { return part(row, c); }
    if STEPS == 2u { return two(row, c); }
    if STEPS == 4u { return four(row, c); }
    return four(row, c) + four(row, c + 4u * STRIDE);
}

fn store(row: u32, sum: f32) {
    if row >= params.rows { return; }
    var value = sum;
    if HAS_BIAS { value += bias[row]; }
    out[row] = activate(value);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let row = (flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT) * ROWS;
    var sums = vec4<f32>();
    if row < params.rows {
        var c = index % SEGMENT * WIDTH;
        for (; c + (STEPS - 1u) * STRIDE < params.cols; c += STEPS * STRIDE) { sums += steps(row, c); }
        for (; c < params.cols; c += STRIDE) { sums += part(row, c); }
    }
    sums = row_sums(lane, sums);
    if index % SEGMENT != 0u { return; }
    store(row, sums.x);
    if ROWS > 1u { store(row + 1u, sums.y); }
    if ROWS > 2u {
        store(row + 2u, sums.z);
        store(row + 3u, sums.w);
    }
}
