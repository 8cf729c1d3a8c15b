// out = activation(A·B + bias), with A = a or aᵀ, B = b or bᵀ, over up to four broadcast batch axes; per part of the inner axis.
// One workgroup per tile, 4·ROW_QUADS × 4·COL_QUADS sums per invocation, slices of 16 inner indices in shared memory.

override ROW_QUADS: u32 = 2;      // 1 or 2
override COL_QUADS: u32 = 2;      // 1, 2 or 4
override LANES_DOWN: u32 = 4;     // 32 neighbours make a patch of LANES_DOWN × LANES_ACROSS invocations
override PATCHES_DOWN: u32 = 2;
override PATCHES_ACROSS: u32 = 1;
override WORKGROUP: u32 = 64;     // 32 · PATCHES_DOWN · PATCHES_ACROSS
override TRANSPOSE_A: bool = false;  // a is stored [inner, rows]
override TRANSPOSE_B: bool = false;  // b is stored [cols, inner]
override VECTOR_A: bool = false;     // a's last axis is a multiple of 4: 16-byte loads
override VECTOR_B: bool = false;
override HAS_BIAS: bool = false;
override LANES_ACROSS: u32 = 32u / LANES_DOWN;
override A_QUADS: u32 = ROW_QUADS * LANES_DOWN * PATCHES_DOWN;      // of the tile: 4 rows or columns each, at most 32
override B_QUADS: u32 = COL_QUADS * LANES_ACROSS * PATCHES_ACROSS;
override A_BLOCKS: u32 = A_QUADS * DEPTH / 4u;                      // blocks of 4×4 that make a slice
override B_BLOCKS: u32 = B_QUADS * DEPTH / 4u;
const DEPTH = 16u;  // inner indices in shared memory at a time
//!include lib/index.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl
//!include lib/tile_batch.wgsl
//!include lib/tile_slices.wgsl

struct Params {
    batch: vec4<u32>, a_strides: vec4<u32>, b_strides: vec4<u32>,
    rows: u32, cols: u32, inner: u32,
    parts: u32, chunk: u32,  // how many parts the inner axis has, and the inner indices of each: a multiple of DEPTH
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override LEFT_WIDE: bool = A_QUADS > 16u;
override RIGHT_WIDE: bool = B_QUADS > 16u;

fn a_one(i: u32) -> f32 { return a[i >> 2u][i & 3u]; }

fn a_four(i: u32) -> vec4<f32> { return vec4<f32>(a_one(i), a_one(i + 1u), a_one(i + 2u), a_one(i + 3u)); }

fn b_four(i: u32) -> vec4<f32> { return vec4<f32>(read_weight(i), read_weight(i + 1u), read_weight(i + 2u), read_weight(i + 3u)); }

// Where a block lies in a slice: its rows or columns `quad`, and its first inner index.
struct Block { quad: u32, deep: u32 }

// Pairs of neighbours go along the inner axis, then come the quads: both ways of storage are then read in whole sectors.
fn block_place(index: u32, quads: u32, blocks: u32) -> Block {
    return Block(index / 2u % quads, 4u * (index % 2u + index % blocks / (2u * quads) * 2u));
}

fn a_start(tile: Tile, at: Block, k: u32) -> u32 {
    let row = tile.row + 4u * at.quad;
    return tile.a + select(row * params.inner + k + at.deep, (k + at.deep) * params.rows + row, TRANSPOSE_A);
}

fn b_start(tile: Tile, at: Block, k: u32) -> u32 {
    let col = tile.col + 4u * at.quad;
    return tile.b + select((k + at.deep) * params.cols + col, col * params.inner + k + at.deep, TRANSPOSE_B);
}

// A 4×4 block as it is stored. What lies outside of the matrices is some other element, or 0 past the buffer's end: its rows and
// columns are never stored, and `trimmed` drops inner indices. A load without a branch is not waited for until it is used.
fn a_block(i: u32) -> mat4x4<f32> {
    let stride = select(params.inner, params.rows, TRANSPOSE_A);
    if VECTOR_A {
        let p = i >> 2u;
        let s = stride >> 2u;
        return mat4x4<f32>(a[p], a[p + s], a[p + 2u * s], a[p + 3u * s]);
    }
    return mat4x4<f32>(a_four(i), a_four(i + stride), a_four(i + 2u * stride), a_four(i + 3u * stride));
}

fn b_block(i: u32) -> mat4x4<f32> {
    let stride = select(params.cols, params.inner, TRANSPOSE_B);
    if VECTOR_B {
        let p = i >> 2u;
        let s = stride >> 2u;
        return mat4x4<f32>(
            read_weights4(p << 2u), read_weights4((p + s) << 2u), read_weights4((p + 2u * s) << 2u), read_weights4((p + 3u * s) << 2u),
        );
    }
    return mat4x4<f32>(b_four(i), b_four(i + stride), b_four(i + 2u * stride), b_four(i + 3u * stride));
}

// The block as it is stored, with zeros from its inner index `left` on: along its vec4s, or from one to the next.
fn trimmed(block: mat4x4<f32>, along: bool, left: u32) -> mat4x4<f32> {
    let zero = vec4<f32>();
    let kept = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left);
    if along {
        return mat4x4<f32>(
            select(zero, block[0], kept), select(zero, block[1], kept), select(zero, block[2], kept), select(zero, block[3], kept),
        );
    }
    return mat4x4<f32>(
        select(zero, block[0], kept.x), select(zero, block[1], kept.y), select(zero, block[2], kept.z), select(zero, block[3], kept.w),
    );
}

// Blocks of the first slice, which has `valid` inner indices.
fn first_a(i: u32, at: Block, valid: u32) -> mat4x4<f32> { return trimmed(a_block(i), !TRANSPOSE_A, valid - min(valid, at.deep)); }

fn first_b(i: u32, at: Block, valid: u32) -> mat4x4<f32> { return trimmed(b_block(i), TRANSPOSE_B, valid - min(valid, at.deep)); }

// Stores a block in a slice, a column of the matrix per inner index.
fn put_a(stored: mat4x4<f32>, at: Block) {
    var block = stored;
    if !TRANSPOSE_A { block = transpose(block); }
    left_set(at.deep, at.quad, block[0]);
    left_set(at.deep + 1u, at.quad, block[1]);
    left_set(at.deep + 2u, at.quad, block[2]);
    left_set(at.deep + 3u, at.quad, block[3]);
}

fn put_b(stored: mat4x4<f32>, at: Block) {
    var block = stored;
    if TRANSPOSE_B { block = transpose(block); }
    right_set(at.deep, at.quad, block[0]);
    right_set(at.deep + 1u, at.quad, block[1]);
    right_set(at.deep + 2u, at.quad, block[2]);
    right_set(at.deep + 3u, at.quad, block[3]);
}

fn step(k: u32, down: u32, across: u32) {
    let x0 = left_get(k, down);
    let y0 = right_get(k, across);
    var x1 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    if ROW_QUADS > 1u { x1 = left_get(k, down + LANES_DOWN); }
    if COL_QUADS > 1u { y1 = right_get(k, across + LANES_ACROSS); }
    if COL_QUADS > 2u { y2 = right_get(k, across + 2u * LANES_ACROSS); y3 = right_get(k, across + 3u * LANES_ACROSS); }
    c00 += outer(x0, y0);
    if COL_QUADS > 1u { c01 += outer(x0, y1); }
    if COL_QUADS > 2u { c02 += outer(x0, y2); c03 += outer(x0, y3); }
    if ROW_QUADS > 1u {
        c10 += outer(x1, y0);
        if COL_QUADS > 1u { c11 += outer(x1, y1); }
        if COL_QUADS > 2u { c12 += outer(x1, y2); c13 += outer(x1, y3); }
    }
}

struct Place { lane: u32, down: u32, across: u32 }

// Writes one row of every invocation, row `row` of its blocks `i` from above, through the slice of B, so that neighbours write
// neighbouring elements however the rows are aligned.
fn write_rows(tile: Tile, at: Place, i: u32, row: u32, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>) {
    let line = at.down / (ROW_QUADS * LANES_DOWN) * LANES_DOWN + at.down % LANES_DOWN;
    workgroupBarrier();
    right_set(line, at.across, v0);
    if COL_QUADS > 1u { right_set(line, at.across + LANES_ACROSS, v1); }
    if COL_QUADS > 2u { right_set(line, at.across + 2u * LANES_ACROSS, v2); right_set(line, at.across + 3u * LANES_ACROSS, v3); }
    workgroupBarrier();
    for (var e = at.lane; e < LANES_DOWN * PATCHES_DOWN * B_QUADS * 4u; e += WORKGROUP) {
        let from_line = e / (B_QUADS * 4u);
        let c = e % (B_QUADS * 4u);
        let quad = from_line / LANES_DOWN * (ROW_QUADS * LANES_DOWN) + i * LANES_DOWN + from_line % LANES_DOWN;
        let to_row = tile.row + 4u * quad + row;
        let to_col = tile.col + c;
        if to_row < params.rows && to_col < params.cols {
            var value = right_one(from_line, c);
            if HAS_BIAS { value += bias[to_col]; }
            out[tile.out + to_row * params.cols + to_col] = activate(value);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let number = flat_group(group, groups);
    let matrices = params.batch.x * params.batch.y * params.batch.z * params.batch.w;
    let tiles = matrices * tile_count(4u * A_QUADS, 4u * B_QUADS);
    let part = number / tiles;
    if part >= params.parts { return; }
    var tile = locate(number - part * tiles, 4u * A_QUADS, 4u * B_QUADS);
    tile.out += part * matrices * params.rows * params.cols;
    let begin = part * params.chunk;
    let end = min(params.inner, begin + params.chunk);
    // Pairs of neighbours share a column, every other one a row: the fewest different addresses in half a patch.
    let field = lane / 32u;
    let down = field / PATCHES_ACROSS * (ROW_QUADS * LANES_DOWN) + lane % 32u / (2u * LANES_ACROSS) * 2u + lane % 2u;
    let across = field % PATCHES_ACROSS * (COL_QUADS * LANES_ACROSS) + lane % 32u / 2u % LANES_ACROSS;
    // An invocation brings one or two blocks of each operand; where a slice has fewer blocks, several bring the same.
    let a_at = block_place(lane, A_QUADS, A_BLOCKS);
    let b_at = block_place(lane, B_QUADS, B_BLOCKS);
    let a_at2 = block_place(lane + WORKGROUP, A_QUADS, A_BLOCKS);
    let b_at2 = block_place(lane + WORKGROUP, B_QUADS, B_BLOCKS);
    var a_from = a_start(tile, a_at, begin);
    var b_from = b_start(tile, b_at, begin);
    var a_from2 = a_start(tile, a_at2, begin);
    var b_from2 = b_start(tile, b_at2, begin);
    // The first slice takes what does not divide, so that the loop has whole ones only.
    let first = (end - begin + DEPTH - 1u) % DEPTH + 1u;
    var a_block1 = first_a(a_from, a_at, first);
    var b_block1 = first_b(b_from, b_at, first);
    var a_block2 = mat4x4<f32>();
    var b_block2 = mat4x4<f32>();
    if A_BLOCKS > WORKGROUP { a_block2 = first_a(a_from2, a_at2, first); }
    if B_BLOCKS > WORKGROUP { b_block2 = first_b(b_from2, b_at2, first); }
    let a_deeper = select(1u, params.rows, TRANSPOSE_A);  // elements from one inner index to the next
    let b_deeper = select(params.cols, 1u, TRANSPOSE_B);
    var ahead = first;
    for (var k = begin + first; k < end + DEPTH; k += DEPTH) {
        if A_BLOCKS >= WORKGROUP || lane < A_BLOCKS { put_a(a_block1, a_at); }
        if B_BLOCKS >= WORKGROUP || lane < B_BLOCKS { put_b(b_block1, b_at); }
        if A_BLOCKS > WORKGROUP { put_a(a_block2, a_at2); }
        if B_BLOCKS > WORKGROUP { put_b(b_block2, b_at2); }
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied; at the end the last one comes again.
        ahead = select(0u, ahead, k < end);
        a_from += ahead * a_deeper;
        b_from += ahead * b_deeper;
        a_from2 += ahead * a_deeper;
        b_from2 += ahead * b_deeper;
        ahead = DEPTH;
        a_block1 = a_block(a_from);
        b_block1 = b_block(b_from);
        if A_BLOCKS > WORKGROUP { a_block2 = a_block(a_from2); }
        if B_BLOCKS > WORKGROUP { b_block2 = b_block(b_from2); }
        step(0u, down, across); step(1u, down, across); step(2u, down, across); step(3u, down, across);
        step(4u, down, across); step(5u, down, across); step(6u, down, across); step(7u, down, across);
        step(8u, down, across); step(9u, down, across); step(10u, down, across); step(11u, down, across);
        step(12u, down, across); step(13u, down, across); step(14u, down, across); step(15u, down, across);
        workgroupBarrier();
    }
    let at = Place(lane, down, across);
    write_rows(tile, at, 0u, 0u, c00[0], c01[0], c02[0], c03[0]);
    write_rows(tile, at, 0u, 1u, c00[1], c01[1], c02[1], c03[1]);
    write_rows(tile, at, 0u, 2u, c00[2], c01[2], c02[2], c03[2]);
    write_rows(tile, at, 0u, 3u, c00[3], c01[3], c02[3], c03[3]);
    if ROW_QUADS > 1u {
        write_rows(tile, at, 1u, 0u, c10[0], c11[0], c12[0], c13[0]);
        write_rows(tile, at, 1u, 1u, c10[1], c11[1], c12[1], c13[1]);
        write_rows(tile, at, 1u, 2u, c10[2], c11[2], c12[2], c13[2]);
        write_rows(tile, at, 1u, 3u, c10[3], c11[3], c12[3], c13[3]);
    }
}
