// out[k,o,t] = Σ over the places of chunk k of g[n,o,y,x] · (the image's element under tap t = (c,u,v); 1 for the last t, the bias).
// One workgroup per chunk and tile of ROWS outputs × COLS taps; slices of 16 places in shared memory, TALL × 8 sums per invocation.

override ROWS: u32 = 64;
override COLS: u32 = 128;
override TALL: u32 = 8;       // rows per invocation: 8 or 4
override THREADS: u32 = 128;  // ROWS / TALL · COLS / 8
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override VECTOR_G: bool = false;  // the places of an image are a multiple of 4
override SAME_ROW: bool = false;  // out_w is a multiple of 4: four neighbours are in one row
const SLICE = 16u;
//!include lib/index.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    dilation_w: u32, chunk: u32, chunks: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override TAPS: u32 = KERNEL_H * KERNEL_W;
override ROW_QUADS: u32 = ROWS / 4u;
override COL_QUADS: u32 = COLS / 4u;
override A_LENGTH: u32 = ROWS * 4u;
override B_LENGTH: u32 = COLS * 4u;
var<workgroup> a_slice: array<vec4<f32>, A_LENGTH>;  // g: [place][quad of outputs]
var<workgroup> b_slice: array<vec4<f32>, B_LENGTH>;  // the image: [place][quad of taps]

// Sums of a 4×4 block each, a column of the matrix per output: outputs by taps.
var<private> low_low: mat4x4<f32>;
var<private> low_high: mat4x4<f32>;
var<private> high_low: mat4x4<f32>;
var<private> high_high: mat4x4<f32>;

// What an invocation loads of the image: up to four taps, THREADS / 4 apart.
var<private> down: vec4<i32>;    // the tap's place in the window
var<private> right: vec4<i32>;
var<private> plane: vec4<u32>;   // where its channel starts in an image
var<private> is_bias: vec4<bool>;
var<private> seen: mat4x4<f32>;      // the next slice of the image: a column per tap, four places
var<private> arriving: mat4x4<f32>;  // and of g: a column per output

fn take_taps(t: vec4<u32>) {
    down = vec4<i32>(t / KERNEL_W % KERNEL_H * params.dilation_h);
    right = vec4<i32>(t % KERNEL_W * params.dilation_w);
    plane = min(t / TAPS, vec4<u32>(params.channels - 1u)) * params.height * params.width;
    is_bias = t == vec4<u32>(params.channels * TAPS);
}

// Four neighbouring places: where their images start, and the corners of their windows, far outside beyond the chunk.
struct Four { image: vec4<u32>, top: vec4<i32>, left: vec4<i32> }

fn four_places(position: u32, end: u32) -> Four {
    let places = params.out_h * params.out_w;
    let p = position + vec4<u32>(0u, 1u, 2u, 3u);
    var sample = vec4<u32>(position / places);
    var y = vec4<u32>(position % places / params.out_w);
    var at = position % places % params.out_w + vec4<u32>(0u, 1u, 2u, 3u);
    if !SAME_ROW {
        sample = p / places;
        y = p % places / params.out_w;
        at = p % places % params.out_w;
    }
    let outside = vec4<i32>(-0x40000000);
    return Four(
        sample * params.channels * params.height * params.width,
        select(outside, vec4<i32>(y * params.stride_h) - i32(params.pad_h), p < vec4<u32>(end)),
        vec4<i32>(at * params.stride_w) - i32(params.pad_w),
    );
}

fn under_tap(four: Four, j: u32) -> vec4<f32> {
    let row = vec4<u32>(four.top + down[j]);
    let column = vec4<u32>(four.left + right[j]);
    let inside = (row < vec4<u32>(params.height)) & (column < vec4<u32>(params.width));
    let at = select(vec4<u32>(), four.image + plane[j] + row * params.width + column, inside);
    return select(select(vec4<f32>(), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), inside), vec4<f32>(1.0), is_bias[j]);
}

fn read_g(o: u32, position: u32) -> f32 {
    let places = params.out_h * params.out_w;
    let at = (position / places * params.outputs + o) * places + position % places;
    return g[at >> 2u][at & 3u];
}

fn gradients(output: u32, position: u32, end: u32) -> vec4<f32> {
    if position >= end { return vec4<f32>(); }
    let o = min(output, params.outputs - 1u);
    if VECTOR_G {
        let places = params.out_h * params.out_w;
        return g[((position / places * params.outputs + o) * places + position % places) >> 2u];
    }
    var four = vec4<f32>(read_g(o, position), 0.0, 0.0, 0.0);
    if position + 1u < end { four.y = read_g(o, position + 1u); }
    if position + 2u < end { four.z = read_g(o, position + 2u); }
    if position + 3u < end { four.w = read_g(o, position + 3u); }
    return four;
}

fn load(position: u32, end: u32, output: u32) {
    let four = four_places(position, end);
    seen[0] = under_tap(four, 0u);
    seen[1] = under_tap(four, 1u);
    if COLS * 4u > THREADS * 2u {
        seen[2] = under_tap(four, 2u);
        seen[3] = under_tap(four, 3u);
    }
    arriving[0] = gradients(output, position, end);
    if ROWS * 4u > THREADS { arriving[1] = gradients(output + THREADS / 4u, position, end); }
    if ROWS * 4u > THREADS * 2u {
        arriving[2] = gradients(output + THREADS / 2u, position, end);
        arriving[3] = gradients(output + THREADS / 4u * 3u, position, end);
    }
}

// Places are set apart by quads, so that four of them are stored without meeting a bank twice.
fn set_a(k: u32, row: u32, four: vec4<f32>) {
    let at = k * ROW_QUADS + ((row / 4u) ^ (k / 4u * 2u));
    a_slice[at][row & 3u] = four.x;
    a_slice[at + ROW_QUADS][row & 3u] = four.y;
    a_slice[at + 2u * ROW_QUADS][row & 3u] = four.z;
    a_slice[at + 3u * ROW_QUADS][row & 3u] = four.w;
}

fn set_b(k: u32, tap: u32, four: vec4<f32>) {
    let at = k * COL_QUADS + ((tap / 4u) ^ (k / 4u * 2u));
    b_slice[at][tap & 3u] = four.x;
    b_slice[at + COL_QUADS][tap & 3u] = four.y;
    b_slice[at + 2u * COL_QUADS][tap & 3u] = four.z;
    b_slice[at + 3u * COL_QUADS][tap & 3u] = four.w;
}

fn put(k: u32, j: u32) {
    set_b(k, j, seen[0]);
    set_b(k, j + THREADS / 4u, seen[1]);
    if COLS * 4u > THREADS * 2u {
        set_b(k, j + THREADS / 2u, seen[2]);
        set_b(k, j + THREADS / 4u * 3u, seen[3]);
    }
    set_a(k, j, arriving[0]);
    if ROWS * 4u > THREADS { set_a(k, j + THREADS / 4u, arriving[1]); }
    if ROWS * 4u > THREADS * 2u {
        set_a(k, j + THREADS / 2u, arriving[2]);
        set_a(k, j + THREADS / 4u * 3u, arriving[3]);
    }
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b); }

fn step(k: u32, rows: u32, columns: u32) {
    let turn = k / 4u * 2u;
    let a_low = a_slice[k * ROW_QUADS + (rows ^ turn)];
    let b_low = b_slice[k * COL_QUADS + (columns ^ turn)];
    let b_high = b_slice[k * COL_QUADS + ((columns + COLS / 8u) ^ turn)];
    low_low += outer(a_low, b_low);
    low_high += outer(a_low, b_high);
    if TALL == 8u {
        let a_high = a_slice[k * ROW_QUADS + ((rows + ROWS / 8u) ^ turn)];
        high_low += outer(a_high, b_low);
        high_high += outer(a_high, b_high);
    }
}

fn store_block(chunk: u32, o: u32, t: u32, sums: mat4x4<f32>) {
    let columns = params.channels * TAPS + 1u;
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            if o + i < params.outputs && t + j < columns { out[(chunk * params.outputs + o + i) * columns + t + j] = sums[i][j]; }
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let row_tiles = (params.outputs + ROWS - 1u) / ROWS;
    let col_tiles = (params.channels * TAPS + COLS) / COLS;  // of taps + 1: the last one is the bias
    let first_tap = tile % col_tiles * COLS;
    let first_output = tile / col_tiles % row_tiles * ROWS;
    let chunk = tile / col_tiles / row_tiles;
    if chunk >= params.chunks { return; }
    let begin = chunk * params.chunk;
    let end = min(begin + params.chunk, params.batch * params.out_h * params.out_w);
    // 32 neighbours cover 4×8 blocks: both slices are then read with few different addresses at a time.
    let warp = lane / 32u;
    let rows = warp / (COLS / 64u) * 4u + lane % 32u / 8u;
    let columns = warp % (COLS / 64u) * 8u + lane % 8u;
    // Each invocation loads four places of some taps and of some outputs.
    let k = lane % 4u * 4u;
    let j = lane / 4u;
    take_taps(first_tap + j + vec4<u32>(0u, 1u, 2u, 3u) * (THREADS / 4u));
    load(begin + k, end, first_output + j);
    for (var position = begin; position < end; position += SLICE) {
        put(k, j);
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied; past the end it is zeros.
        load(position + SLICE + k, end, first_output + j);
        step(0u, rows, columns); step(1u, rows, columns); step(2u, rows, columns); step(3u, rows, columns);
        step(4u, rows, columns); step(5u, rows, columns); step(6u, rows, columns); step(7u, rows, columns);
        step(8u, rows, columns); step(9u, rows, columns); step(10u, rows, columns); step(11u, rows, columns);
        step(12u, rows, columns); step(13u, rows, columns); step(14u, rows, columns); step(15u, rows, columns);
        workgroupBarrier();
    }
    let o = first_output + 4u * rows;
    let t = first_tap + 4u * columns;
    store_block(chunk, o, t, low_low);
    store_block(chunk, o, t + COLS / 2u, low_high);
    if TALL == 8u {
        store_block(chunk, o + ROWS / 2u, t, high_low);
        store_block(chunk, o + ROWS / 2u, t + COLS / 2u, high_high);
    }
}
