// out = activation(A·B + bias), with A = a or aᵀ, B = b or bᵀ, over up to four broadcast batch axes.
// One invocation per 4×4 block of the result, straight from memory: for software adapters and small or odd shapes.

override TRANSPOSE_A: bool = false;  // a is stored [inner, rows]
override TRANSPOSE_B: bool = false;  // b is stored [cols, inner]
override VECTOR_A: bool = false;     // a's last axis and batch strides are multiples of 4: 16-byte loads
override VECTOR_B: bool = false;
override HAS_BIAS: bool = false;
const SIDE = 8u;  // invocations along each axis of a workgroup
//!include lib/index.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl
//!include lib/tile_batch.wgsl

struct Params {
    batch: vec4<u32>, a_strides: vec4<u32>, b_strides: vec4<u32>,
    rows: u32, cols: u32, inner: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

fn read_a(i: u32) -> f32 { return a[i >> 2u][i & 3u]; }

// Four elements along the inner axis from k, of row r of A. Indices outside are brought back inside: what they
// give is never stored, or is masked by the caller.
fn a_along(start: u32, r: u32, k: u32) -> vec4<f32> {
    let row = min(r, params.rows - 1u);
    if TRANSPOSE_A {
        let at = start + k * params.rows + row;
        return vec4<f32>(read_a(at), read_a(at + params.rows), read_a(at + 2u * params.rows), read_a(at + 3u * params.rows));
    }
    let at = start + row * params.inner + k;
    if VECTOR_A { return a[at >> 2u]; }
    return vec4<f32>(read_a(at), read_a(at + 1u), read_a(at + 2u), read_a(at + 3u));
}

// A's block: rows r..r+3 by inner k..k+3, a column of the matrix per inner index.
fn a_block(start: u32, r: u32, k: u32) -> mat4x4<f32> {
    if TRANSPOSE_A && VECTOR_A {
        let at = start + k * params.rows + min(r, params.rows - 4u);  // rows is a multiple of 4
        return mat4x4<f32>(a[at >> 2u], a[(at + params.rows) >> 2u], a[(at + 2u * params.rows) >> 2u], a[(at + 3u * params.rows) >> 2u]);
    }
    return transpose(mat4x4<f32>(a_along(start, r, k), a_along(start, r + 1u, k), a_along(start, r + 2u, k), a_along(start, r + 3u, k)));
}

fn b_down(start: u32, k: u32, c: u32) -> vec4<f32> {
    let col = min(c, params.cols - 1u);
    if TRANSPOSE_B {
        let at = start + col * params.inner + k;
        if VECTOR_B { return read_weights4(at); }
        return vec4<f32>(read_weight(at), read_weight(at + 1u), read_weight(at + 2u), read_weight(at + 3u));
    }
    let at = start + k * params.cols + col;
    return vec4<f32>(read_weight(at), read_weight(at + params.cols), read_weight(at + 2u * params.cols), read_weight(at + 3u * params.cols));
}

// B's block: inner k..k+3 by columns c..c+3, a column of the matrix per inner index.
fn b_block(start: u32, k: u32, c: u32) -> mat4x4<f32> {
    if !TRANSPOSE_B && VECTOR_B {
        let at = start + k * params.cols + min(c, params.cols - 4u);
        return mat4x4<f32>(read_weights4(at), read_weights4(at + params.cols), read_weights4(at + 2u * params.cols), read_weights4(at + 3u * params.cols));
    }
    return transpose(mat4x4<f32>(b_down(start, k, c), b_down(start, k, c + 1u), b_down(start, k, c + 2u), b_down(start, k, c + 3u)));
}

fn a_one(start: u32, r: u32, k: u32) -> f32 {
    let row = min(r, params.rows - 1u);
    return read_a(start + select(row * params.inner + k, k * params.rows + row, TRANSPOSE_A));
}

fn b_one(start: u32, k: u32, c: u32) -> f32 {
    let col = min(c, params.cols - 1u);
    return read_weight(start + select(k * params.cols + col, col * params.inner + k, TRANSPOSE_B));
}

fn store(at: u32, c: u32, sums: vec4<f32>) {
    for (var j = 0u; j < min(4u, params.cols - c); j++) {
        var value = sums[j];
        if HAS_BIAS { value += bias[c + j]; }
        out[at + j] = activate(value);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = locate(flat_group(group, groups), 4u * SIDE, 4u * SIDE);
    let r = tile.row + lane / SIDE * 4u;
    let c = tile.col + lane % SIDE * 4u;
    if !tile.inside || r >= params.rows || c >= params.cols { return; }
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    let whole = params.inner / 4u * 4u;
    for (var k = 0u; k < whole; k += 4u) {
        let x = a_block(tile.a, r, k);
        let y = b_block(tile.b, k, c);
        s0 += x[0].x * y[0] + x[1].x * y[1] + x[2].x * y[2] + x[3].x * y[3];
        s1 += x[0].y * y[0] + x[1].y * y[1] + x[2].y * y[2] + x[3].y * y[3];
        s2 += x[0].z * y[0] + x[1].z * y[1] + x[2].z * y[2] + x[3].z * y[3];
        s3 += x[0].w * y[0] + x[1].w * y[1] + x[2].w * y[2] + x[3].w * y[3];
    }
    for (var k = whole; k < params.inner; k++) {
        let y = vec4<f32>(b_one(tile.b, k, c), b_one(tile.b, k, c + 1u), b_one(tile.b, k, c + 2u), b_one(tile.b, k, c + 3u));
        s0 += a_one(tile.a, r, k) * y;
        s1 += a_one(tile.a, r + 1u, k) * y;
        s2 += a_one(tile.a, r + 2u, k) * y;
        s3 += a_one(tile.a, r + 3u, k) * y;
    }
    let at = tile.out + r * params.cols + c;
    store(at, c, s0);
    if r + 1u < params.rows { store(at + params.cols, c, s1); }
    if r + 2u < params.rows { store(at + 2u * params.cols, c, s2); }
    if r + 3u < params.rows { store(at + 3u * params.cols, c, s3); }
}
