// out = activation(A·B + bias), with A = a or aᵀ, B = b or bᵀ, over up to four broadcast batch axes.
// One workgroup of 8 lanes per ROWS×32 block, 4 columns each, straight from memory: for software adapters. There a load runs
// lane by lane and costs as much as thirty multiply-adds, so blocks are large and no lane loads what another one has.

override TRANSPOSE_A: bool = false;  // a is stored [inner, rows]
override TRANSPOSE_B: bool = false;  // b is stored [cols, inner]
override VECTOR_A: bool = false;     // a's last axis and batch strides are multiples of 4: 16-byte loads
override VECTOR_B: bool = false;
override WHOLE: bool = false;        // the inner axis is a multiple of 4
override ROWS: u32 = 32;             // of a block; a multiple of 8, at most 32
override VECTOR_OUT: bool = false;   // the columns are a multiple of 4: 16-byte stores
override HAS_BIAS: bool = false;
const LANES = 8u;
const LONGEST = 512u;  // inner indices that are added up in one go: longer sums are made of such, which keeps more digits
//!include lib/index.wgsl
//!include lib/four.wgsl
//!include lib/four_from.wgsl
//!include lib/wide_weights.wgsl
//!include lib/tile_activation.wgsl
//!include lib/tile_batch.wgsl
//!include lib/from_lane.wgsl

struct Params {
    batch: vec4<u32>, a_strides: vec4<u32>, b_strides: vec4<u32>,
    rows: u32, cols: u32, inner: u32,
}

@group(0) @binding(0) var<storage, read> a: array<Four>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// Sums of four rows each, a row per column of the matrix, and what those of earlier stretches of the inner axis have come to.
var<private> s0: mat4x4<f32>;
var<private> s1: mat4x4<f32>;
var<private> s2: mat4x4<f32>;
var<private> s3: mat4x4<f32>;
var<private> s4: mat4x4<f32>;
var<private> s5: mat4x4<f32>;
var<private> s6: mat4x4<f32>;
var<private> s7: mat4x4<f32>;
var<private> t0: mat4x4<f32>;
var<private> t1: mat4x4<f32>;
var<private> t2: mat4x4<f32>;
var<private> t3: mat4x4<f32>;
var<private> t4: mat4x4<f32>;
var<private> t5: mat4x4<f32>;
var<private> t6: mat4x4<f32>;
var<private> t7: mat4x4<f32>;

// Four elements of a or b from i on, which may lie in two loads.
fn read_a4(i: u32) -> vec4<f32> {
    if VECTOR_A { return floats(a[i >> 2u]); }
    return four_from(floats(a[i >> 2u]), floats(a[(i >> 2u) + 1u]), i);
}

fn read_b4(i: u32) -> vec4<f32> {
    if VECTOR_B { return read_weights4(i); }
    return four_from(read_weights4(i & ~3u), read_weights4((i & ~3u) + 4u), i);
}

// What lies past the inner axis counts as 0.
fn along_inner(x: vec4<f32>, k: u32) -> vec4<f32> {
    if WHOLE { return x; }
    return select(vec4<f32>(), x, vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(params.inner));
}

fn at_inner(x: vec4<f32>, k: u32) -> vec4<f32> {
    if WHOLE { return x; }
    return select(vec4<f32>(), x, k < params.inner);
}

// Part j of what this lane reads of A's block, inner k..k+3. Stored by rows: row r + lane + 8·j. Stored by inner indices:
// rows r + 4·lane..+3 at index k + j. Rows past the end are some row inside, and their sums are never stored.
fn a_part(start: u32, r: u32, k: u32, lane: u32, j: u32) -> vec4<f32> {
    if TRANSPOSE_A {
        let row = min(r + 4u * lane, select(params.rows - 1u, params.rows - 4u, VECTOR_A));
        return at_inner(read_a4(start + (k + j) * params.rows + row), k + j);
    }
    return along_inner(read_a4(start + min(r + lane + 8u * j, params.rows - 1u) * params.inner + k), k);
}

fn a_own(start: u32, r: u32, k: u32, lane: u32) -> mat4x4<f32> {
    var own: mat4x4<f32>;
    if SPREAD {
        own[0] = a_part(start, r, k, lane, 0u);
        if TRANSPOSE_A || ROWS > 8u { own[1] = a_part(start, r, k, lane, 1u); }
        if TRANSPOSE_A || ROWS > 16u { own[2] = a_part(start, r, k, lane, 2u); }
        if TRANSPOSE_A || ROWS > 24u { own[3] = a_part(start, r, k, lane, 3u); }
    }
    return own;
}

// Rows r..r+3 of A, inner k..k+3, read by this lane alone: a row per column of the matrix.
fn a_alone(start: u32, r: u32, k: u32) -> mat4x4<f32> {
    if TRANSPOSE_A {
        return transpose(mat4x4<f32>(
            a_part(start, r, k, 0u, 0u), a_part(start, r, k, 0u, 1u), a_part(start, r, k, 0u, 2u), a_part(start, r, k, 0u, 3u)));
    }
    return mat4x4<f32>(a_part(start, r, k, 0u, 0u), a_part(start, r, k, 1u, 0u), a_part(start, r, k, 2u, 0u), a_part(start, r, k, 3u, 0u));
}

// Rows 4·q..4·q+3 of the block, inner k..k+3, from what the lanes have read.
fn a_rows(start: u32, r: u32, k: u32, own: mat4x4<f32>, q: u32) -> mat4x4<f32> {
    if !SPREAD { return a_alone(start, r + 4u * q, k); }
    if TRANSPOSE_A {
        return transpose(mat4x4<f32>(from_lane(own[0], q), from_lane(own[1], q), from_lane(own[2], q), from_lane(own[3], q)));
    }
    let x = own[q >> 1u];
    let first = 4u * (q & 1u);
    return mat4x4<f32>(from_lane(x, first), from_lane(x, first + 1u), from_lane(x, first + 2u), from_lane(x, first + 3u));
}

// B's block: inner k..k+3 by columns c..c+3, a column of the matrix per inner index.
fn b_block(start: u32, k: u32, c: u32) -> mat4x4<f32> {
    if TRANSPOSE_B {
        return transpose(mat4x4<f32>(b_down(start, k, c), b_down(start, k, c + 1u), b_down(start, k, c + 2u), b_down(start, k, c + 3u)));
    }
    return mat4x4<f32>(b_across(start, k, c), b_across(start, k + 1u, c), b_across(start, k + 2u, c), b_across(start, k + 3u, c));
}

fn b_down(start: u32, k: u32, c: u32) -> vec4<f32> { return along_inner(read_b4(start + min(c, params.cols - 1u) * params.inner + k), k); }

fn b_across(start: u32, k: u32, c: u32) -> vec4<f32> {
    return at_inner(read_b4(start + k * params.cols + min(c, select(params.cols - 1u, params.cols - 4u, VECTOR_B))), k);
}

// One row's four elements of A along the inner axis, times the block of B.
fn row_times(x: vec4<f32>, y: mat4x4<f32>) -> vec4<f32> { return x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3]; }

fn times(x: mat4x4<f32>, y: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(row_times(x[0], y), row_times(x[1], y), row_times(x[2], y), row_times(x[3], y));
}

// Ends a stretch: its sums go to the totals.
fn fold() {
    t0 += s0; t1 += s1; t2 += s2; t3 += s3; t4 += s4; t5 += s5; t6 += s6; t7 += s7;
    s0 = mat4x4<f32>(); s1 = s0; s2 = s0; s3 = s0; s4 = s0; s5 = s0; s6 = s0; s7 = s0;
}

fn finish(start: u32, r: u32, c: u32, sums: vec4<f32>) {
    if r >= params.rows || c >= params.cols { return; }
    let at = start + r * params.cols + c;
    if VECTOR_OUT {
        var four = sums;
        if HAS_BIAS { four += vec4<f32>(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]); }
        out[at >> 2u] = vec4<f32>(activate(four.x), activate(four.y), activate(four.z), activate(four.w));
        return;
    }
    for (var j = 0u; j < min(4u, params.cols - c); j++) {
        var value = sums[j];
        if HAS_BIAS { value += bias[c + j]; }
        out[(at + j) >> 2u][(at + j) & 3u] = activate(value);
    }
}

fn store(start: u32, r: u32, c: u32, sums: mat4x4<f32>) {
    finish(start, r, c, sums[0]); finish(start, r + 1u, c, sums[1]); finish(start, r + 2u, c, sums[2]); finish(start, r + 3u, c, sums[3]);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = locate(flat_group(group, groups), ROWS, 4u * LANES);
    if !tile.inside { return; }
    let r = tile.row;
    let c = tile.col + lane * 4u;
    let at = tile.a;
    for (var first = 0u; first < params.inner; first += LONGEST) {
        let end = min(first + LONGEST, params.inner);
        for (var k = first; k < end; k += 4u) {
            let y = b_block(tile.b, k, c);
            let own = a_own(at, r, k, lane);
            s0 += times(a_rows(at, r, k, own, 0u), y);
            s1 += times(a_rows(at, r, k, own, 1u), y);
            if ROWS > 8u { s2 += times(a_rows(at, r, k, own, 2u), y); s3 += times(a_rows(at, r, k, own, 3u), y); }
            if ROWS > 16u { s4 += times(a_rows(at, r, k, own, 4u), y); s5 += times(a_rows(at, r, k, own, 5u), y); }
            if ROWS > 24u { s6 += times(a_rows(at, r, k, own, 6u), y); s7 += times(a_rows(at, r, k, own, 7u), y); }
        }
        fold();
    }
    store(tile.out, r, c, t0); store(tile.out, r + 4u, c, t1);
    if ROWS > 8u { store(tile.out, r + 8u, c, t2); store(tile.out, r + 12u, c, t3); }
    if ROWS > 16u { store(tile.out, r + 16u, c, t4); store(tile.out, r + 20u, c, t5); }
    if ROWS > 24u { store(tile.out, r + 24u, c, t6); store(tile.out, r + 28u, c, t7); }
}
