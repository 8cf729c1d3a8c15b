// out = activation(A·B + bias), with A = a or aᵀ, B = b or bᵀ, over up to four broadcast batch axes.
// One workgroup of 16×16 invocations per TILE×TILE tile, 8×8 (TILE 128) or 4×4 (TILE 64) sums each, slices of 16 in shared memory.

override TILE: u32 = 128;
override TRANSPOSE_A: bool = false;  // a is stored [inner, rows]
override TRANSPOSE_B: bool = false;  // b is stored [cols, inner]
override VECTOR_A: bool = false;     // a's last axis is a multiple of 4: 16-byte loads
override VECTOR_B: bool = false;
override HAS_BIAS: bool = false;
const SLICE = 16u;  // inner indices in shared memory at a time
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

// Four rows (of A) or columns (of B) per vec4, [inner index][QUADS]; 16 KiB together at TILE 128.
override QUADS: u32 = TILE / 4u;
override SLICE_QUADS: u32 = TILE * 4u;  // QUADS · SLICE; the translator wants the bare name of a constant as a length
var<workgroup> a_slice: array<vec4<f32>, SLICE_QUADS>;
var<workgroup> b_slice: array<vec4<f32>, SLICE_QUADS>;

// Sums of a 4×4 block each, a column of the matrix per row of the result: rows (lower, upper half of the tile) by columns.
var<private> low_low: mat4x4<f32>;
var<private> low_high: mat4x4<f32>;
var<private> high_low: mat4x4<f32>;
var<private> high_high: mat4x4<f32>;

// Where vec4 `quad` of inner index k lies: neighbours in k are set apart so that the transposing stores meet no bank twice.
fn place(k: u32, quad: u32) -> u32 { return k * QUADS + (quad ^ (k & 4u)); }

fn read_a(i: u32) -> f32 { return a[i >> 2u][i & 3u]; }

// Four elements of A from (r, k), along the rows where a is transposed, else along the inner axis; 0 outside.
fn a_four(start: u32, r: u32, k: u32) -> vec4<f32> {
    if r >= params.rows || k >= params.inner { return vec4<f32>(); }
    let at = start + select(r * params.inner + k, k * params.rows + r, TRANSPOSE_A);
    if VECTOR_A { return a[at >> 2u]; }
    let left = select(params.inner - k, params.rows - r, TRANSPOSE_A);
    var four = vec4<f32>(read_a(at), 0.0, 0.0, 0.0);
    if left > 1u { four.y = read_a(at + 1u); }
    if left > 2u { four.z = read_a(at + 2u); }
    if left > 3u { four.w = read_a(at + 3u); }
    return four;
}

// The same of B from (k, c), along the inner axis where b is transposed, else along the columns.
fn b_four(start: u32, k: u32, c: u32) -> vec4<f32> {
    if c >= params.cols || k >= params.inner { return vec4<f32>(); }
    let at = start + select(k * params.cols + c, c * params.inner + k, TRANSPOSE_B);
    if VECTOR_B { return read_weights4(at); }
    let left = select(params.cols - c, params.inner - k, TRANSPOSE_B);
    var four = vec4<f32>(read_weight(at), 0.0, 0.0, 0.0);
    if left > 1u { four.y = read_weight(at + 1u); }
    if left > 2u { four.z = read_weight(at + 2u); }
    if left > 3u { four.w = read_weight(at + 3u); }
    return four;
}

// The 4×4 block of A at (r, k): a column of the matrix per inner index.
fn a_block(start: u32, r: u32, k: u32) -> mat4x4<f32> {
    if TRANSPOSE_A {
        return mat4x4<f32>(a_four(start, r, k), a_four(start, r, k + 1u), a_four(start, r, k + 2u), a_four(start, r, k + 3u));
    }
    return transpose(mat4x4<f32>(a_four(start, r, k), a_four(start, r + 1u, k), a_four(start, r + 2u, k), a_four(start, r + 3u, k)));
}

fn b_block(start: u32, k: u32, c: u32) -> mat4x4<f32> {
    if !TRANSPOSE_B {
        return mat4x4<f32>(b_four(start, k, c), b_four(start, k + 1u, c), b_four(start, k + 2u, c), b_four(start, k + 3u, c));
    }
    return transpose(mat4x4<f32>(b_four(start, k, c), b_four(start, k, c + 1u), b_four(start, k, c + 2u), b_four(start, k, c + 3u)));
}

// x ⊗ y, added to the sums of one block.
fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y); }

fn step(k: u32, down: u32, across: u32) {
    let x_low = a_slice[place(k, down)];
    let y_low = b_slice[place(k, across)];
    low_low += outer(x_low, y_low);
    if TILE == 128u {
        let x_high = a_slice[place(k, down + 16u)];
        let y_high = b_slice[place(k, across + 16u)];
        low_high += outer(x_low, y_high);
        high_low += outer(x_high, y_low);
        high_high += outer(x_high, y_high);
    }
}

fn store(start: u32, r: u32, c: u32, sums: vec4<f32>) {
    if r >= params.rows || c >= params.cols { return; }
    let count = min(4u, params.cols - c);
    for (var j = 0u; j < count; j++) {
        var value = sums[j];
        if HAS_BIAS { value += bias[c + j]; }
        out[start + r * params.cols + c + j] = activate(value);
    }
}

fn store_block(start: u32, r: u32, c: u32, sums: mat4x4<f32>) {
    store(start, r, c, sums[0]);
    store(start, r + 1u, c, sums[1]);
    store(start, r + 2u, c, sums[2]);
    store(start, r + 3u, c, sums[3]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = locate(flat_group(group, groups), TILE, TILE);
    if !tile.inside { return; }
    // 32 neighbours cover 4×8 blocks: both slices are then read with few different addresses at a time.
    let warp = lane / 32u;
    let down = warp / 2u * 4u + lane % 32u / 8u;
    let across = warp % 2u * 8u + lane % 8u;
    // The first 4·QUADS invocations load a 4×4 block of A, the next as many one of B.
    let loader = lane % (4u * QUADS);
    let quad = loader / 2u % QUADS;
    let deep = 4u * (loader % 2u + loader / (2u * QUADS) * 2u);
    let role = lane / (4u * QUADS);
    var block = mat4x4<f32>();
    if role == 0u { block = a_block(tile.a, tile.row + 4u * quad, deep); }
    if role == 1u { block = b_block(tile.b, deep, tile.col + 4u * quad); }
    for (var k = 0u; k < params.inner; k += SLICE) {
        if role == 0u {
            a_slice[place(deep, quad)] = block[0];
            a_slice[place(deep + 1u, quad)] = block[1];
            a_slice[place(deep + 2u, quad)] = block[2];
            a_slice[place(deep + 3u, quad)] = block[3];
        }
        if role == 1u {
            b_slice[place(deep, quad)] = block[0];
            b_slice[place(deep + 1u, quad)] = block[1];
            b_slice[place(deep + 2u, quad)] = block[2];
            b_slice[place(deep + 3u, quad)] = block[3];
        }
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied; past the end it is zeros.
        let next = k + SLICE + deep;
        if role == 0u { block = a_block(tile.a, tile.row + 4u * quad, next); }
        if role == 1u { block = b_block(tile.b, next, tile.col + 4u * quad); }
        step(0u, down, across); step(1u, down, across); step(2u, down, across); step(3u, down, across);
        step(4u, down, across); step(5u, down, across); step(6u, down, across); step(7u, down, across);
        step(8u, down, across); step(9u, down, across); step(10u, down, across); step(11u, down, across);
        step(12u, down, across); step(13u, down, across); step(14u, down, across); step(15u, down, across);
        workgroupBarrier();
    }
    let r = tile.row + 4u * down;
    let c = tile.col + 4u * across;
    store_block(tile.out, r, c, low_low);
    if TILE == 128u {
        store_block(tile.out, r, c + 64u, low_high);
        store_block(tile.out, r + 64u, c, high_low);
        store_block(tile.out, r + 64u, c + 64u, high_high);
    }
}
