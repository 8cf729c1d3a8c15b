// Products of tiles for DOWN × ACROSS invocations. A workgroup owns a tile of 8·DOWN rows and walks COLUMNS at a time:
//     scores  = left · rightᵀ        over the elements of a head
//     sums   += weights · right      over the columns, WIDTH elements of a head at once
// Operands pass through shared memory in slices of 16 inner indices; the next slice comes from memory meanwhile. The weights
// stay in registers, where the scores were, and pass through shared memory 16 columns at a time too.
// An invocation has rows 4·down.. and 4·(DOWN + down).., and of every 4·ACROSS columns or elements 4.
// The including file has, for rows and columns that exist or not:
//     fn left_four(operand: u32, row: u32, c: u32) -> vec4<f32>       elements c.. of a row of the tile
//     fn right_four(operand: u32, column: u32, c: u32) -> vec4<f32>   elements c.. of what stands at a column
override DOWN: u32 = 8;
override ACROSS: u32 = 16;
override COLUMNS: u32 = 64;  // 4·ACROSS or 8·ACROSS
override WIDTH: u32 = 128;   // the elements of a head, rounded up to 4·ACROSS
override INVOCATIONS: u32 = DOWN * ACROSS;
override QUADS: u32 = 2u * DOWN;  // fours of rows
override LEFT: u32 = max(16u, ACROSS) * QUADS;  // vec4s of the left slice, which also passes a value of each row around
override SLICES: u32 = LEFT + 4u * max(COLUMNS, WIDTH);
const SLICE = 16u;
const CROWD = 512u;  // about as many workgroups share a few heads, so that their keys and values stay in the cache

var<private> lane: u32;
var<private> down: u32;
var<private> across: u32;

// 32 neighbours cover 4 × 8 blocks, and neighbours in pairs share an address of one operand or of the other: hardware
// then serves 16 of them at once.
fn take_place(index: u32) {
    lane = index;
    let warp = index / 32u;
    across = index / 2u % 8u + 8u * (warp % (ACROSS / 8u));
    down = index % 2u + index / 16u % 2u * 2u + 4u * (warp / (ACROSS / 8u));
}

// (head of the batch, rank of the tile) of a workgroup: a few heads at a time, the first tiles of all of them before the second.
fn turn_of(number: u32, heads: u32, tiles: u32) -> vec2<u32> {
    let together = max(1u, CROWD / tiles);
    let begin = number / (together * tiles) * together;
    if begin >= heads { return vec2<u32>(heads, 0u); }
    let count = min(together, heads - begin);
    let within = number % (together * tiles);
    return vec2<u32>(begin + within % count, within / count);
}

var<workgroup> slices: array<vec4<f32>, SLICES>;  // the left one [16][QUADS], then the right one [16][COLUMNS / 4 or WIDTH / 4]

// Where four `quad` of inner index k lies in a row of fours: set apart so that transposing stores meet no bank twice.
fn apart(k: u32, quad: u32) -> u32 { return quad ^ (k >> 1u & 6u); }

// ---- slices, first in registers, then in shared memory

var<private> fetched: mat4x4<f32>;
var<private> fetched_too: mat4x4<f32>;

// Block n of a slice of both operands: fours of rows first, then fours of columns; four inner indices each.
fn fetch_block(operand: u32, row: u32, column: u32, c: u32, n: u32) -> mat4x4<f32> {
    let inner = c + n % 4u * 4u;
    if n < 4u * QUADS {
        let r = row + 4u * (n / 4u);
        return transpose(mat4x4<f32>(
            left_four(operand, r, inner), left_four(operand, r + 1u, inner), left_four(operand, r + 2u, inner), left_four(operand, r + 3u, inner)));
    }
    let r = column + 4u * (n / 4u - QUADS);
    return transpose(mat4x4<f32>(
        right_four(operand, r, inner), right_four(operand, r + 1u, inner), right_four(operand, r + 2u, inner), right_four(operand, r + 3u, inner)));
}

// Four inner indices of one four of rows or columns; `fours` of them to an inner index.
fn put(at: u32, fours: u32, block: mat4x4<f32>) {
    slices[at] = block[0];
    slices[at + fours] = block[1];
    slices[at + 2u * fours] = block[2];
    slices[at + 3u * fours] = block[3];
}

fn put_block(n: u32, block: mat4x4<f32>) {
    let k = n % 4u * 4u;
    if n < 4u * QUADS {
        put(k * QUADS + apart(k, n / 4u), QUADS, block);
    } else if n < 4u * QUADS + COLUMNS {
        put(LEFT + k * (COLUMNS / 4u) + apart(k, n / 4u - QUADS), COLUMNS / 4u, block);
    }
}

// Elements c..c+15 of the tile's rows and of the columns.
fn fetch_scores(operand: u32, row: u32, column: u32, c: u32) {
    fetched = fetch_block(operand, row, column, c, lane);
    if 4u * QUADS + COLUMNS > INVOCATIONS { fetched_too = fetch_block(operand, row, column, c, lane + INVOCATIONS); }
}

fn put_scores() {
    put_block(lane, fetched);
    if 4u * QUADS + COLUMNS > INVOCATIONS { put_block(lane + INVOCATIONS, fetched_too); }
}

fn fetch_four(operand: u32, column: u32, n: u32) -> vec4<f32> {
    return right_four(operand, column + n / (WIDTH / 4u), n % (WIDTH / 4u) * 4u);
}

// All elements of 16 columns.
fn fetch_values(operand: u32, column: u32) {
    fetched[0] = fetch_four(operand, column, lane);
    if 4u * WIDTH > INVOCATIONS { fetched[1] = fetch_four(operand, column, lane + INVOCATIONS); }
    if 4u * WIDTH > 2u * INVOCATIONS { fetched[2] = fetch_four(operand, column, lane + 2u * INVOCATIONS); }
    if 4u * WIDTH > 3u * INVOCATIONS { fetched[3] = fetch_four(operand, column, lane + 3u * INVOCATIONS); }
    if 4u * WIDTH > 4u * INVOCATIONS {
        fetched_too[0] = fetch_four(operand, column, lane + 4u * INVOCATIONS);
        fetched_too[1] = fetch_four(operand, column, lane + 5u * INVOCATIONS);
        fetched_too[2] = fetch_four(operand, column, lane + 6u * INVOCATIONS);
        fetched_too[3] = fetch_four(operand, column, lane + 7u * INVOCATIONS);
    }
}

fn put_four(n: u32, value: vec4<f32>) {
    if n < 4u * WIDTH { slices[LEFT + n] = value; }
}

// The values of 16 columns, fetched before, and their weights, from the invocations that have them.
fn put_values(t: u32) {
    put_four(lane, fetched[0]);
    if 4u * WIDTH > INVOCATIONS { put_four(lane + INVOCATIONS, fetched[1]); }
    if 4u * WIDTH > 2u * INVOCATIONS { put_four(lane + 2u * INVOCATIONS, fetched[2]); }
    if 4u * WIDTH > 3u * INVOCATIONS { put_four(lane + 3u * INVOCATIONS, fetched[3]); }
    if 4u * WIDTH > 4u * INVOCATIONS {
        put_four(lane + 4u * INVOCATIONS, fetched_too[0]);
        put_four(lane + 5u * INVOCATIONS, fetched_too[1]);
        put_four(lane + 6u * INVOCATIONS, fetched_too[2]);
        put_four(lane + 7u * INVOCATIONS, fetched_too[3]);
    }
    let k = across % 4u * 4u;
    if across / 4u == t / SLICE {
        put(k * QUADS + apart(k, down), QUADS, low);
        put(k * QUADS + apart(k, down + DOWN), QUADS, high);
    }
    if COLUMNS > 4u * ACROSS && (across + ACROSS) / 4u == t / SLICE {
        put(k * QUADS + apart(k, down), QUADS, low_too);
        put(k * QUADS + apart(k, down + DOWN), QUADS, high_too);
    }
}

// ---- products; low and high are the two fours of rows

// x ⊗ y: a column of the matrix per element of x.
fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y); }

// Scores, then weights: a column of the matrix per column of the tile, its elements are four rows. The second pair: columns 4·ACROSS on.
var<private> low: mat4x4<f32>;
var<private> high: mat4x4<f32>;
var<private> low_too: mat4x4<f32>;
var<private> high_too: mat4x4<f32>;

fn clear_scores() {
    low = mat4x4<f32>();
    high = mat4x4<f32>();
    if COLUMNS > 4u * ACROSS { low_too = mat4x4<f32>(); high_too = mat4x4<f32>(); }
}

fn score_step(k: u32) {
    let x_low = slices[k * QUADS + apart(k, down)];
    let x_high = slices[k * QUADS + apart(k, down + DOWN)];
    let y = slices[LEFT + k * (COLUMNS / 4u) + apart(k, across)];
    low += outer(y, x_low);
    high += outer(y, x_high);
    if COLUMNS > 4u * ACROSS {
        let y_too = slices[LEFT + k * (COLUMNS / 4u) + apart(k, across + ACROSS)];
        low_too += outer(y_too, x_low);
        high_too += outer(y_too, x_high);
    }
}

fn multiply_scores() {
    for (var k = 0u; k < SLICE; k += 8u) {
        score_step(k); score_step(k + 1u); score_step(k + 2u); score_step(k + 3u);
        score_step(k + 4u); score_step(k + 5u); score_step(k + 6u); score_step(k + 7u);
    }
}

// Sums: a column of the matrix per row, its elements are four elements of the head, 4·ACROSS apart from pair to pair.
var<private> low0: mat4x4<f32>;
var<private> low1: mat4x4<f32>;
var<private> low2: mat4x4<f32>;
var<private> low3: mat4x4<f32>;
var<private> high0: mat4x4<f32>;
var<private> high1: mat4x4<f32>;
var<private> high2: mat4x4<f32>;
var<private> high3: mat4x4<f32>;

fn value_step(k: u32) {
    let w_low = slices[k * QUADS + apart(k, down)];
    let w_high = slices[k * QUADS + apart(k, down + DOWN)];
    let at = LEFT + k * (WIDTH / 4u) + across;
    let y0 = slices[at];
    low0 += outer(w_low, y0);
    high0 += outer(w_high, y0);
    if WIDTH > 4u * ACROSS {
        let y1 = slices[at + ACROSS];
        low1 += outer(w_low, y1);
        high1 += outer(w_high, y1);
    }
    if WIDTH > 8u * ACROSS {
        let y2 = slices[at + 2u * ACROSS];
        low2 += outer(w_low, y2);
        high2 += outer(w_high, y2);
    }
    if WIDTH > 12u * ACROSS {
        let y3 = slices[at + 3u * ACROSS];
        low3 += outer(w_low, y3);
        high3 += outer(w_high, y3);
    }
}

fn multiply_values() {
    for (var k = 0u; k < SLICE; k += 8u) {
        value_step(k); value_step(k + 1u); value_step(k + 2u); value_step(k + 3u);
        value_step(k + 4u); value_step(k + 5u); value_step(k + 6u); value_step(k + 7u);
    }
}
