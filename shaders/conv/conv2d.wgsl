// out[n,o,y,x] = act(bias[o] + Σ_cuv weight[o,c,u,v] · image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation]), 0 outside.
// SPLIT invocations per four neighbours of a row and four or eight output channels; each adds its share of the channels.

override WORKGROUP: u32 = 64;      // 64 · SPLIT
override BLOCKS: u32 = 1;          // of four output channels per invocation: 1 or 2
override SPLIT: u32 = 1;           // invocations that share a sum; above 1 only with SHARED and one block
override PARTS: u32 = 1;           // their sums in shared memory: (SPLIT − 1) · 256 vec4s
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override SLIDE: bool = false;      // stride_w and dilation_w are 1: each tap needs one new element of the image
override TRANSPOSED: bool = false; // the weight is stored [c,o,u,v] and its taps run backwards
override SHARED: bool = false;     // the workgroup's weights in shared memory
override SLAB: u32 = 1;            // vec4s of weights in shared memory: channels of a slab · TAPS · BLOCKS
override VECTOR_OUT: bool = false; // out_w is a multiple of 4
override HAS_BIAS: bool = false;
override RELU: bool = false;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/eight_weights.wgsl

struct Params {
    batch: u32, channels: u32, height: u32, width: u32,
    outputs: u32, out_h: u32, out_w: u32, stride_h: u32,
    stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    dilation_w: u32, channel_tiles: u32, slab_channels: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

override TAPS: u32 = KERNEL_H * KERNEL_W;
const PLACES = 64u;  // fours of neighbours of a workgroup
var<workgroup> slab: array<vec4<f32>, SLAB>;  // [channel of the slab][tap][block]
var<workgroup> parts: array<vec4<f32>, PARTS>;  // [share − 1][output channel][place]

// Sums of four channels by four places, a column of the matrix per channel.
var<private> low: mat4x4<f32>;
var<private> high: mat4x4<f32>;

// The windows of this invocation: where their image starts, their top row, and the first one's left column.
var<private> image: u32;
var<private> top: i32;
var<private> left: i32;

fn weight_at(o: u32, c: u32, tap: u32) -> f32 {
    let output = min(o, params.outputs - 1u);
    if TRANSPOSED { return weight[(c * params.outputs + output) * TAPS + TAPS - 1u - tap]; }
    return weight[(output * params.channels + c) * TAPS + tap];
}

fn four_weights(o: u32, c: u32, tap: u32) -> vec4<f32> {
    return vec4<f32>(weight_at(o, c, tap), weight_at(o + 1u, c, tap), weight_at(o + 2u, c, tap), weight_at(o + 3u, c, tap));
}

fn fill_slab(lane: u32, first: u32, first_output: u32) {
    let count = min(params.slab_channels, params.channels - first) * TAPS;
    for (var i = lane; i < count * BLOCKS; i += WORKGROUP) {
        let t = i / BLOCKS;
        slab[i] = four_weights(first_output + i % BLOCKS * 4u, first + t / TAPS, t % TAPS);
    }
}

fn pixel(row: u32, column: i32) -> f32 {
    if u32(column) < params.width { return x[row + u32(column)]; }
    return 0.0;
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b); }

// Channel c adds its part; `at`: where its weights start in the slab.
fn add_channel(c: u32, at: u32, first_output: u32) {
    for (var u = 0u; u < KERNEL_H; u++) {
        let y = u32(top + i32(u * params.dilation_h));
        if !SPREAD && y >= params.height { continue; }
        // With SPREAD all lanes go on together; far to the left of the image they see zeros.
        let row = image + (c * params.height + min(y, params.height - 1u)) * params.width;
        let first = select(left, -0x40000000, y >= params.height);
        var seen = vec4<f32>();
        if SLIDE { seen = vec4<f32>(0.0, pixel(row, first), pixel(row, first + 1), pixel(row, first + 2)); }
        for (var v = 0u; v < KERNEL_W; v++) {
            if SLIDE {
                seen = vec4<f32>(seen.yzw, pixel(row, first + i32(v + 3u)));
            } else {
                let column = first + i32(v * params.dilation_w);
                let stride = i32(params.stride_w);
                seen = vec4<f32>(pixel(row, column), pixel(row, column + stride), pixel(row, column + 2 * stride), pixel(row, column + 3 * stride));
            }
            let tap = u * KERNEL_W + v;
            if SHARED {
                low += outer(slab[at + tap * BLOCKS], seen);
                if BLOCKS == 2u { high += outer(slab[at + tap * BLOCKS + 1u], seen); }
            } else if BLOCKS == 2u {
                let w = eight_weights(first_output, c, tap);
                low += outer(w[0], seen);
                high += outer(w[1], seen);
            } else {
                low += outer(four_weights(first_output, c, tap), seen);
            }
        }
    }
}

fn activate(v: f32) -> f32 {
    if RELU && !is_nan(v) { return max(v, 0.0); }
    return v;
}

// Four places of channel o, the first at column `at` of its row.
fn store(sample: u32, o: u32, y: u32, column: u32, sums: vec4<f32>) {
    if o >= params.outputs { return; }
    var add = 0.0;
    if HAS_BIAS { add = bias[o]; }
    let four = vec4<f32>(activate(sums.x + add), activate(sums.y + add), activate(sums.z + add), activate(sums.w + add));
    let at = ((sample * params.outputs + o) * params.out_h + y) * params.out_w + column;
    if VECTOR_OUT {
        out[at >> 2u] = four;
        return;
    }
    out[at >> 2u][at & 3u] = four.x;
    let count = params.out_w - column;
    if count > 1u { out[(at + 1u) >> 2u][(at + 1u) & 3u] = four.y; }
    if count > 2u { out[(at + 2u) >> 2u][(at + 2u) & 3u] = four.z; }
    if count > 3u { out[(at + 3u) >> 2u][(at + 3u) & 3u] = four.w; }
}

fn store_block(sample: u32, o: u32, y: u32, column: u32, sums: mat4x4<f32>) {
    store(sample, o, y, column, sums[0]);
    store(sample, o + 1u, y, column, sums[1]);
    store(sample, o + 2u, y, column, sums[2]);
    store(sample, o + 3u, y, column, sums[3]);
}

// The first share adds what the others have summed, in order.
fn join(lane: u32) {
    if lane >= PLACES {
        for (var i = 0u; i < 4u; i++) { parts[((lane / PLACES - 1u) * 4u + i) * PLACES + lane % PLACES] = low[i]; }
    }
    workgroupBarrier();
    if lane >= PLACES { return; }
    for (var part = 0u; part < SPLIT - 1u; part++) {
        let at = part * 4u * PLACES + lane;
        low += mat4x4<f32>(parts[at], parts[at + PLACES], parts[at + 2u * PLACES], parts[at + 3u * PLACES]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_output = (tile % params.channel_tiles) * 4u * BLOCKS;
    let quads = (params.out_w + 3u) / 4u;  // fours of neighbours in a row
    let quad = (tile / params.channel_tiles) * PLACES + lane % PLACES;
    let sample = quad / (quads * params.out_h);
    let y = quad / quads % params.out_h;
    let column = quad % quads * 4u;
    let exists = sample < params.batch;
    if !SHARED && !SPREAD && !exists { return; }
    if SPREAD { take_lane(); }
    image = min(sample, params.batch - 1u) * params.channels * params.height * params.width;
    top = i32(y * params.stride_h) - i32(params.pad_h);
    left = i32(column * params.stride_w) - i32(params.pad_w);

    for (var first = 0u; first < params.channels; first += params.slab_channels) {
        let end = min(first + params.slab_channels, params.channels);
        if SHARED {
            if first > 0u { workgroupBarrier(); }
            fill_slab(lane, first, first_output);
            workgroupBarrier();
        }
        for (var c = first + lane / PLACES; c < end; c += SPLIT) { add_channel(c, (c - first) * TAPS * BLOCKS, first_output); }
    }
    if SPLIT > 1u { join(lane); }
    if !exists || lane >= PLACES { return; }
    store_block(sample, first_output, y, column, low);
    if BLOCKS == 2u { store_block(sample, first_output + 4u, y, column, high); }
}
