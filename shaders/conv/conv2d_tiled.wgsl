// out[n,o,y,x] = act(bias[o] + Σ_cuv weight[c,u,v,o] · image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation]), 0 outside.
// One workgroup per ROWS output channels and COLS places; slices of 8 (c,u,v) in shared memory, TALL × 8 sums per invocation.

override ROWS: u32 = 64;
override COLS: u32 = 128;
override TALL: u32 = 8;        // rows per invocation: 8 or 4
override THREADS: u32 = 128;   // ROWS / TALL · COLS / 8
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override DEEP: bool = false;        // channels is a multiple of 8: a slice is eight channels under one tap
override FLIP: bool = false;        // the taps run backwards: weight[c, KERNEL_H − 1 − u, KERNEL_W − 1 − v, o]
override UP_H: u32 = 1;             // above 1: the image has UP − 1 zeros between its elements. The places then are taken by
override UP_W: u32 = 1;             // phases, those that see the same taps together, and no zero is multiplied
override VECTOR_W: bool = false;    // outputs is a multiple of 4
override VECTOR_OUT: bool = false;  // the places of an image are a multiple of 4
override HAS_BIAS: bool = false;
override RELU: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    dilation_w: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// Two slices each, so that one is filled while the other is read: [slice][k][quad of rows or places].
override TAPS: u32 = KERNEL_H * KERNEL_W;
override ROW_QUADS: u32 = ROWS / 4u;
override COL_QUADS: u32 = COLS / 4u;
override A_LENGTH: u32 = ROWS * 4u;
override B_LENGTH: u32 = COLS * 4u;
var<workgroup> a_slice: array<vec4<f32>, A_LENGTH>;
var<workgroup> b_slice: array<vec4<f32>, B_LENGTH>;

// Sums of a 4×4 block each, a column of the matrix per output channel: channels by places.
var<private> low_low: mat4x4<f32>;
var<private> low_high: mat4x4<f32>;
var<private> high_low: mat4x4<f32>;
var<private> high_high: mat4x4<f32>;

// The window that this invocation loads from: its image, and its corner (negative in the padding).
var<private> image: u32;
var<private> top: i32;
var<private> left: i32;

// The phase of this workgroup, and the taps that it sees: from `first_tap` on, each UP-th, so many along each axis.
var<private> phase: vec2<u32>;
var<private> first_tap: vec2<u32>;
var<private> seen_taps: vec2<u32>;

fn has_phases() -> bool { return UP_H * UP_W > 1u; }

fn take_phase(number: u32) {
    let up = vec2<u32>(UP_H, UP_W);
    let kernel = vec2<u32>(KERNEL_H, KERNEL_W);
    phase = vec2<u32>(number / UP_W, number % UP_W);
    first_tap = (vec2<u32>(params.pad_h, params.pad_w) + up - phase) % up;
    seen_taps = (max(kernel, first_tap) - first_tap + up - 1u) / up;
}

fn taps_across() -> u32 {
    if has_phases() { return seen_taps.y; }
    return KERNEL_W;
}

fn taps() -> u32 {
    if has_phases() { return seen_taps.x * seen_taps.y; }
    return TAPS;
}

// The places of one phase along each axis.
fn grid() -> vec2<u32> {
    let up = vec2<u32>(UP_H, UP_W);
    return (vec2<u32>(params.out_h, params.out_w) + up - 1u) / up;
}

fn take_window(position: u32) {
    let places = grid();
    let sample = position / (places.x * places.y);
    let y = position / places.y % places.x;
    let x = position % places.y;
    var corner = vec2<i32>(vec2<u32>(y * params.stride_h, x * params.stride_w)) - vec2<i32>(vec2<u32>(params.pad_h, params.pad_w));
    if has_phases() {
        corner = vec2<i32>(vec2<u32>(y * UP_H, x * UP_W) + phase + first_tap) - vec2<i32>(vec2<u32>(params.pad_h, params.pad_w));
        corner /= vec2<i32>(vec2<u32>(UP_H, UP_W));  // exact
    }
    image = sample * params.channels * params.height * params.width;
    // Every row of a window beyond the last image is far outside, so it reads zeros only.
    top = select(-0x40000000, corner.x, sample < params.batch);
    left = corner.y;
}

// The image under inner index k, channel · taps + tap; 0 in the padding and beyond the last channel.
fn pixel(k: u32) -> f32 {
    let c = k / taps();
    let row = top + i32(k % taps() / taps_across() * params.dilation_h);
    let column = left + i32(k % taps() % taps_across() * params.dilation_w);
    if c < params.channels && u32(row) < params.height && u32(column) < params.width {
        return x[image + (c * params.height + u32(row)) * params.width + u32(column)];
    }
    return 0.0;
}

// Four elements of the slice's column from inner index k of it on.
fn pixels(slice: u32, k: u32) -> vec4<f32> {
    if !DEEP {
        let first = slice * 8u + k;
        return vec4<f32>(pixel(first), pixel(first + 1u), pixel(first + 2u), pixel(first + 3u));
    }
    let tap = slice % taps();
    let row = top + i32(tap / taps_across() * params.dilation_h);
    let column = left + i32(tap % taps_across() * params.dilation_w);
    if u32(row) >= params.height || u32(column) >= params.width { return vec4<f32>(); }
    let plane = params.height * params.width;
    let at = image + (slice / taps() * 8u + k) * plane + u32(row) * params.width + u32(column);
    return vec4<f32>(x[at], x[at + plane], x[at + 2u * plane], x[at + 3u * plane]);
}

// Where tap number `tap` of those that are seen stands in the weight.
fn stored_tap(tap: u32) -> u32 {
    var full = tap;
    if has_phases() { full = (first_tap.x + tap / taps_across() * UP_H) * KERNEL_W + first_tap.y + tap % taps_across() * UP_W; }
    return select(full, TAPS - 1u - full, FLIP);
}

// Four weights, of outputs from o on, for inner index k of the slice; 0 outside.
fn weights(slice: u32, k: u32, o: u32) -> vec4<f32> {
    var c = slice / taps() * 8u + k;
    var tap = slice % taps();
    if !DEEP {
        c = (slice * 8u + k) / taps();
        tap = (slice * 8u + k) % taps();
    }
    if c >= params.channels || o >= params.outputs { return vec4<f32>(); }
    let at = (c * TAPS + stored_tap(tap)) * params.outputs + o;
    if VECTOR_W { return weight[at >> 2u]; }
    var four = vec4<f32>(weight[at >> 2u][at & 3u], 0.0, 0.0, 0.0);
    let count = params.outputs - o;
    if count > 1u { four.y = weight[(at + 1u) >> 2u][(at + 1u) & 3u]; }
    if count > 2u { four.z = weight[(at + 2u) >> 2u][(at + 2u) & 3u]; }
    if count > 3u { four.w = weight[(at + 3u) >> 2u][(at + 3u) & 3u]; }
    return four;
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b); }

// One inner index; k counts through both slices.
fn step(k: u32, down: u32, across: u32) {
    let a_low = a_slice[k * ROW_QUADS + down];
    let b_low = b_slice[k * COL_QUADS + across];
    let b_high = b_slice[k * COL_QUADS + across + COLS / 8u];
    low_low += outer(a_low, b_low);
    low_high += outer(a_low, b_high);
    if TALL == 8u {
        let a_high = a_slice[k * ROW_QUADS + down + ROWS / 8u];
        high_low += outer(a_high, b_low);
        high_high += outer(a_high, b_high);
    }
}

fn activate(v: f32) -> f32 {
    if RELU && !is_nan(v) { return max(v, 0.0); }
    return v;
}

// Four places of one output channel.
fn store(o: u32, position: u32, sums: vec4<f32>) {
    let in_phase = grid();
    let places = in_phase.x * in_phase.y;
    if o >= params.outputs || position >= params.batch * places { return; }
    var add = 0.0;
    if HAS_BIAS { add = bias[o]; }
    let four = vec4<f32>(activate(sums.x + add), activate(sums.y + add), activate(sums.z + add), activate(sums.w + add));
    if VECTOR_OUT {
        out[((position / places * params.outputs + o) * places + position % places) >> 2u] = four;
        return;
    }
    for (var j = 0u; j < min(4u, params.batch * places - position); j++) {
        let p = position + j;
        let y = p / in_phase.y % in_phase.x * UP_H + phase.x;
        let x = p % in_phase.y * UP_W + phase.y;
        let at = ((p / places * params.outputs + o) * params.out_h + y) * params.out_w + x;
        if y < params.out_h && x < params.out_w { out[at >> 2u][at & 3u] = four[j]; }
    }
}

fn store_block(o: u32, position: u32, sums: mat4x4<f32>) {
    store(o, position, sums[0]);
    store(o + 1u, position, sums[1]);
    store(o + 2u, position, sums[2]);
    store(o + 3u, position, sums[3]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let row_tiles = (params.outputs + ROWS - 1u) / ROWS;
    let col_tiles = (params.batch * grid().x * grid().y + COLS - 1u) / COLS;
    let first_output = tile % row_tiles * ROWS;
    let first = tile / row_tiles % col_tiles * COLS;
    if tile >= row_tiles * col_tiles * UP_H * UP_W { return; }
    take_phase(tile / row_tiles / col_tiles);
    // 32 neighbours cover 4×8 blocks: both slices are then read with few different addresses at a time.
    let warp = lane / 32u;
    let down = warp / (COLS / 64u) * 4u + lane % 32u / 8u;
    let across = warp % (COLS / 64u) * 8u + lane % 8u;
    // Each invocation loads one place of the slice, all eight inner indices of it or half of them.
    let column = lane % COLS;
    let deep = lane / COLS * 4u;
    take_window(first + column);
    let weight_k = lane / ROW_QUADS;
    let weight_quad = lane % ROW_QUADS;
    let weight_k2 = (lane + THREADS) / ROW_QUADS;  // of the second quad, where there are more quads than invocations
    let slices = (params.channels * taps() + 7u) / 8u;

    var four = pixels(0u, deep);
    var more = vec4<f32>();
    if COLS == THREADS { more = pixels(0u, 4u); }
    var w = vec4<f32>();
    var w2 = vec4<f32>();
    if weight_k < 8u { w = weights(0u, weight_k, first_output + weight_quad * 4u); }
    if 2u * ROWS > THREADS { w2 = weights(0u, weight_k2, first_output + weight_quad * 4u); }
    for (var slice = 0u; slice < slices; slice++) {
        let start = slice % 2u * 8u;
        let at = (start + deep) * COL_QUADS + column / 4u;
        b_slice[at][column & 3u] = four.x;
        b_slice[at + COL_QUADS][column & 3u] = four.y;
        b_slice[at + 2u * COL_QUADS][column & 3u] = four.z;
        b_slice[at + 3u * COL_QUADS][column & 3u] = four.w;
        if COLS == THREADS {
            b_slice[at + 4u * COL_QUADS][column & 3u] = more.x;
            b_slice[at + 5u * COL_QUADS][column & 3u] = more.y;
            b_slice[at + 6u * COL_QUADS][column & 3u] = more.z;
            b_slice[at + 7u * COL_QUADS][column & 3u] = more.w;
        }
        if weight_k < 8u { a_slice[(start + weight_k) * ROW_QUADS + weight_quad] = w; }
        if 2u * ROWS > THREADS { a_slice[(start + weight_k2) * ROW_QUADS + weight_quad] = w2; }
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied; past the end it is zeros, or never used.
        if slice + 1u < slices {
            four = pixels(slice + 1u, deep);
            if COLS == THREADS { more = pixels(slice + 1u, 4u); }
            if weight_k < 8u { w = weights(slice + 1u, weight_k, first_output + weight_quad * 4u); }
            if 2u * ROWS > THREADS { w2 = weights(slice + 1u, weight_k2, first_output + weight_quad * 4u); }
        }
        step(start, down, across); step(start + 1u, down, across); step(start + 2u, down, across); step(start + 3u, down, across);
        step(start + 4u, down, across); step(start + 5u, down, across); step(start + 6u, down, across); step(start + 7u, down, across);
    }
    let o = first_output + 4u * down;
    let position = first + 4u * across;
    store_block(o, position, low_low);
    store_block(o, position + COLS / 2u, low_high);
    if TALL == 8u {
        store_block(o + ROWS / 2u, position, high_low);
        store_block(o + ROWS / 2u, position + COLS / 2u, high_high);
    }
}
