// out = activation(A·B + bias), with A = a or aᵀ, B = b or bᵀ, over up to four broadcast batch axes.
// One workgroup of 8 lanes per 16×32 block, 4 columns each, straight from memory: for software adapters, where a load costs most.

override TRANSPOSE_A: bool = false;  // a is stored [inner, rows]
override TRANSPOSE_B: bool = false;  // b is stored [cols, inner]
override VECTOR_A: bool = false;     // a's last axis and batch strides are multiples of 4: 16-byte loads
override VECTOR_B: bool = false;
override HAS_BIAS: bool = false;
const ROWS = 16u;
const LANES = 8u;
const LONGEST = 512u;  // inner indices that are added up in one go: longer sums are made of such, which keeps more digits
//!include lib/index.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl
//!include lib/tile_batch.wgsl
//!include lib/eight_rows.wgsl

struct Params {
    batch: vec4<u32>, a_strides: vec4<u32>, b_strides: vec4<u32>,
    rows: u32, cols: u32, inner: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Four sums of one row each.
var<private> s0: vec4<f32>;
var<private> s1: vec4<f32>;
var<private> s2: vec4<f32>;
var<private> s3: vec4<f32>;
var<private> s4: vec4<f32>;
var<private> s5: vec4<f32>;
var<private> s6: vec4<f32>;
var<private> s7: vec4<f32>;
var<private> s8: vec4<f32>;
var<private> s9: vec4<f32>;
var<private> s10: vec4<f32>;
var<private> s11: vec4<f32>;
var<private> s12: vec4<f32>;
var<private> s13: vec4<f32>;
var<private> s14: vec4<f32>;
var<private> s15: vec4<f32>;

// What the sums of earlier stretches of the inner axis have come to.
var<private> t0: vec4<f32>;
var<private> t1: vec4<f32>;
var<private> t2: vec4<f32>;
var<private> t3: vec4<f32>;
var<private> t4: vec4<f32>;
var<private> t5: vec4<f32>;
var<private> t6: vec4<f32>;
var<private> t7: vec4<f32>;
var<private> t8: vec4<f32>;
var<private> t9: vec4<f32>;
var<private> t10: vec4<f32>;
var<private> t11: vec4<f32>;
var<private> t12: vec4<f32>;
var<private> t13: vec4<f32>;
var<private> t14: vec4<f32>;
var<private> t15: vec4<f32>;

fn read_a(i: u32) -> f32 { return a[i >> 2u][i & 3u]; }

// Element (r, k) of A and (k, c) of B: 0 past the inner axis, and some element inside for rows and columns outside,
// whose sums are never stored.
fn a_one(start: u32, r: u32, k: u32) -> f32 {
    if k >= params.inner { return 0.0; }
    let row = min(r, params.rows - 1u);
    return read_a(start + select(row * params.inner + k, k * params.rows + row, TRANSPOSE_A));
}

fn b_one(start: u32, k: u32, c: u32) -> f32 {
    if k >= params.inner { return 0.0; }
    let col = min(c, params.cols - 1u);
    return read_weight(start + select(k * params.cols + col, col * params.inner + k, TRANSPOSE_B));
}

// Four elements along the inner axis from k, of row r of A.
fn a_along(start: u32, r: u32, k: u32) -> vec4<f32> {
    if VECTOR_A && !TRANSPOSE_A { return a[(start + min(r, params.rows - 1u) * params.inner + k) >> 2u]; }
    return vec4<f32>(a_one(start, r, k), a_one(start, r, k + 1u), a_one(start, r, k + 2u), a_one(start, r, k + 3u));
}

// Four elements along the inner axis from k, of column c of B.
fn b_down(start: u32, k: u32, c: u32) -> vec4<f32> {
    if VECTOR_B { return read_weights4(start + min(c, params.cols - 1u) * params.inner + k); }
    return vec4<f32>(b_one(start, k, c), b_one(start, k + 1u, c), b_one(start, k + 2u, c), b_one(start, k + 3u, c));
}

// Four elements along the columns from c, at inner index k of B.
fn b_across(start: u32, k: u32, c: u32) -> vec4<f32> {
    if !VECTOR_B { return vec4<f32>(b_one(start, k, c), b_one(start, k, c + 1u), b_one(start, k, c + 2u), b_one(start, k, c + 3u)); }
    if k >= params.inner { return vec4<f32>(); }
    return read_weights4(start + k * params.cols + min(c, params.cols - 4u));
}

// B's block: inner k..k+3 by columns c..c+3, a column of the matrix per inner index.
fn b_block(start: u32, k: u32, c: u32) -> mat4x4<f32> {
    if TRANSPOSE_B {
        return transpose(mat4x4<f32>(b_down(start, k, c), b_down(start, k, c + 1u), b_down(start, k, c + 2u), b_down(start, k, c + 3u)));
    }
    return mat4x4<f32>(b_across(start, k, c), b_across(start, k + 1u, c), b_across(start, k + 2u, c), b_across(start, k + 3u, c));
}

// One row's four elements of A along the inner axis, times the block of B.
fn row_times(x: vec4<f32>, y: mat4x4<f32>) -> vec4<f32> { return x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3]; }

fn add_low(x: array<vec4<f32>, 8>, y: mat4x4<f32>) {
    s0 += row_times(x[0], y); s1 += row_times(x[1], y); s2 += row_times(x[2], y); s3 += row_times(x[3], y);
    s4 += row_times(x[4], y); s5 += row_times(x[5], y); s6 += row_times(x[6], y); s7 += row_times(x[7], y);
}

fn add_high(x: array<vec4<f32>, 8>, y: mat4x4<f32>) {
    s8 += row_times(x[0], y); s9 += row_times(x[1], y); s10 += row_times(x[2], y); s11 += row_times(x[3], y);
    s12 += row_times(x[4], y); s13 += row_times(x[5], y); s14 += row_times(x[6], y); s15 += row_times(x[7], y);
}

// Ends a stretch: its sums go to the totals.
fn fold() {
    t0 += s0; t1 += s1; t2 += s2; t3 += s3; t4 += s4; t5 += s5; t6 += s6; t7 += s7;
    t8 += s8; t9 += s9; t10 += s10; t11 += s11; t12 += s12; t13 += s13; t14 += s14; t15 += s15;
    s0 = vec4<f32>(); s1 = s0; s2 = s0; s3 = s0; s4 = s0; s5 = s0; s6 = s0; s7 = s0;
    s8 = s0; s9 = s0; s10 = s0; s11 = s0; s12 = s0; s13 = s0; s14 = s0; s15 = s0;
}

fn store(start: u32, r: u32, c: u32, sums: vec4<f32>) {
    if r >= params.rows || c >= params.cols { return; }
    for (var j = 0u; j < min(4u, params.cols - c); j++) {
        var value = sums[j];
        if HAS_BIAS { value += bias[c + j]; }
        out[start + r * params.cols + c + j] = activate(value);
    }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = locate(flat_group(group, groups), ROWS, 4u * LANES);
    if !tile.inside { return; }
    let r = tile.row;
    let c = tile.col + lane * 4u;
    for (var first = 0u; first < params.inner; first += LONGEST) {
        let end = min(first + LONGEST, params.inner);
        for (var k = first; k < end; k += 4u) {
            let y = b_block(tile.b, k, c);
            add_low(eight_rows(tile.a, r, k, lane), y);
            add_high(eight_rows(tile.a, r + 8u, k, lane), y);
        }
        fold();
    }
    store(tile.out, r, c, t0); store(tile.out, r + 1u, c, t1); store(tile.out, r + 2u, c, t2); store(tile.out, r + 3u, c, t3);
    store(tile.out, r + 4u, c, t4); store(tile.out, r + 5u, c, t5); store(tile.out, r + 6u, c, t6); store(tile.out, r + 7u, c, t7);
    store(tile.out, r + 8u, c, t8); store(tile.out, r + 9u, c, t9); store(tile.out, r + 10u, c, t10); store(tile.out, r + 11u, c, t11);
    store(tile.out, r + 12u, c, t12); store(tile.out, r + 13u, c, t13); store(tile.out, r + 14u, c, t14); store(tile.out, r + 15u, c, t15);
}
