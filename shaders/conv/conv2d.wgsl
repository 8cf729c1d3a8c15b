// out[n,o,y,x] = act(bias[o] + Σ_cuv weight[o,c,u,v] · image[n, c, y·stride − pad + u·dilation, x·stride − pad + v·dilation]), 0 outside.
// SPLIT invocations per four neighbours of a row or column and four or eight output channels; each adds its share of the channels.

override WORKGROUP: u32 = 64;      // 64 · SPLIT
override BLOCKS: u32 = 1;          // of four output channels per invocation: 1 or 2
override SPLIT: u32 = 1;           // invocations that share a sum; above 1 only with SHARED and one block
override PARTS: u32 = 1;           // their sums in shared memory: (SPLIT − 1) · 256 vec4s
override KERNEL_H: u32 = 3;
override KERNEL_W: u32 = 3;
override DOWN: bool = false;       // the four neighbours are in a column, so that lanes side by side read side by side
override SLIDE: bool = false;      // stride and dilation are 1 along the four: each tap needs one new element of the image
override TRANSPOSED: bool = false; // the weight is stored [c,o,u,v] and its taps run backwards
override SHARED: bool = false;     // the workgroup's weights in shared memory
override SLAB: u32 = 1;            // vec4s of weights in shared memory: channels of a slab · TAPS · BLOCKS
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
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override TAPS: u32 = KERNEL_H * KERNEL_W;
const PLACES = 64u;  // fours of neighbours of a workgroup
var<workgroup> slab: array<vec4<f32>, SLAB>;  // [channel of the slab][tap][block]
var<workgroup> parts: array<vec4<f32>, PARTS>;  // [share − 1][output channel][place]

// Sums of four channels by four places, a column of the matrix per channel.
var<private> low: mat4x4<f32>;
var<private> high: mat4x4<f32>;

// The windows of this invocation: where their image starts and the corner of the first. `x` is the axis along which the
// four lie and `y` the other one, here and below: (columns, rows) of the image, or with DOWN (rows, columns).
var<private> image: u32;
var<private> corner: vec2<i32>;

fn along(horizontal: u32, vertical: u32) -> vec2<u32> {
    if DOWN { return vec2<u32>(vertical, horizontal); }
    return vec2<u32>(horizontal, vertical);
}

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

fn pixel(line: u32, at: i32) -> f32 {
    if u32(at) < along(params.width, params.height).x { return x[line + u32(at) * along(1u, params.width).x]; }
    return 0.0;
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b); }

// Channel c adds its part; `start`: where its weights start in the slab.
fn add_channel(c: u32, start: u32, first_output: u32) {
    let taps = along(KERNEL_W, KERNEL_H);
    let dilation = along(params.dilation_w, params.dilation_h);
    let stride = i32(along(params.stride_w, params.stride_h).x);
    let lines = along(params.width, params.height).y;
    for (var v = 0u; v < taps.y; v++) {
        let number = u32(corner.y + i32(v * dilation.y));
        if !SPREAD && number >= lines { continue; }
        // With SPREAD all lanes go on together; far before the image they see zeros.
        let line = image + c * params.height * params.width + min(number, lines - 1u) * along(1u, params.width).y;
        let first = select(corner.x, -0x40000000, number >= lines);
        var seen = vec4<f32>();
        if SLIDE { seen = vec4<f32>(0.0, pixel(line, first), pixel(line, first + 1), pixel(line, first + 2)); }
        for (var u = 0u; u < taps.x; u++) {
            if SLIDE {
                seen = vec4<f32>(seen.yzw, pixel(line, first + i32(u + 3u)));
            } else {
                let at = first + i32(u * dilation.x);
                seen = vec4<f32>(pixel(line, at), pixel(line, at + stride), pixel(line, at + 2 * stride), pixel(line, at + 3 * stride));
            }
            let tap = dot(vec2<u32>(u, v), along(1u, KERNEL_W));
            if SHARED {
                low += outer(slab[start + tap * BLOCKS], seen);
                if BLOCKS == 2u { high += outer(slab[start + tap * BLOCKS + 1u], seen); }
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

// Four places of channel o, the first at `place`.
fn store(sample: u32, o: u32, place: vec2<u32>, sums: vec4<f32>) {
    if o >= params.outputs { return; }
    var add = 0.0;
    if HAS_BIAS { add = bias[o]; }
    let step = along(1u, params.out_w);
    let at = (sample * params.outputs + o) * params.out_h * params.out_w + dot(place, step);
    let count = along(params.out_w, params.out_h).x - place.x;
    out[at] = activate(sums.x + add);
    if count > 1u { out[at + step.x] = activate(sums.y + add); }
    if count > 2u { out[at + 2u * step.x] = activate(sums.z + add); }
    if count > 3u { out[at + 3u * step.x] = activate(sums.w + add); }
}

fn store_block(sample: u32, o: u32, place: vec2<u32>, sums: mat4x4<f32>) {
    store(sample, o, place, sums[0]);
    store(sample, o + 1u, place, sums[1]);
    store(sample, o + 2u, place, sums[2]);
    store(sample, o + 3u, place, sums[3]);
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
    let extent = along(params.out_w, params.out_h);
    let fours = (extent.x + 3u) / 4u;
    let number = (tile / params.channel_tiles) * PLACES + lane % PLACES;
    let sample = number / (fours * extent.y);
    let inner = select(fours, extent.y, DOWN);  // what counts fastest: neighbours in a row of the image
    let major = number / inner % select(extent.y, fours, DOWN);
    let place = select(vec2<u32>(number % inner * 4u, major), vec2<u32>(major * 4u, number % inner), DOWN);
    let exists = sample < params.batch;
    if !SHARED && !SPREAD && !exists { return; }
    if SPREAD { take_lane(); }
    image = min(sample, params.batch - 1u) * params.channels * params.height * params.width;
    corner = vec2<i32>(place * along(params.stride_w, params.stride_h)) - vec2<i32>(along(params.pad_w, params.pad_h));

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
    store_block(sample, first_output, place, low);
    if BLOCKS == 2u { store_block(sample, first_output + 4u, place, high); }
}
