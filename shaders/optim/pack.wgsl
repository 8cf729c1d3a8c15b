// flat = up to six sources one after another, each followed by zeros up to its span; partials = sums of their squares.
// One invocation per four elements of flat, or of every `blocks`-th stretch where squares are summed.
//
// Spans are multiples of four.  As in square_sums, partial b takes the stretches of 1024 whose number is b modulo `blocks`.

override WORKGROUP: u32 = 256;
override HAS_SQUARES: bool = false;
//!include lib/index.wgsl
//!include lib/reduce.wgsl

// ends: where each span ends in flat, in vec4s; sizes: elements of each source, 0 for one that is missing.
struct Params {
    ends_low: vec4<u32>, ends_high: vec4<u32>,
    sizes_low: vec4<u32>, sizes_high: vec4<u32>,
    total: u32, blocks: u32,
}

@group(0) @binding(0) var<storage, read_write> flat: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<storage, read> source0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> source1: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> source2: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> source3: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> source5: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

fn load(source: u32, i: u32) -> vec4<f32> {
    switch source {
        case 0u: { return source0[i]; }
        case 1u: { return source1[i]; }
        case 2u: { return source2[i]; }
        case 3u: { return source3[i]; }
        case 4u: { return source4[i]; }
        default: { return source5[i]; }
    }
}

// The four elements of flat at vec4 `at`.
fn packed(at: u32) -> vec4<f32> {
    // A table of (source, start, size): the first end above `at` is the source's.
    let low = params.ends_low;
    let high = params.ends_high;
    var source = 0u;
    var start = 0u;
    var size = params.sizes_low.x;
    if at >= low.x { source = 1u; start = low.x; size = params.sizes_low.y; }
    if at >= low.y { source = 2u; start = low.y; size = params.sizes_low.z; }
    if at >= low.z { source = 3u; start = low.z; size = params.sizes_low.w; }
    if at >= low.w { source = 4u; start = low.w; size = params.sizes_high.x; }
    if at >= high.x { source = 5u; start = high.x; size = params.sizes_high.y; }
    let first = (at - start) * 4u;
    if first >= size { return vec4<f32>(0.0); }
    let inside = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(size);
    return select(vec4<f32>(0.0), load(source, at - start), inside);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    var total = 0.0;
    for (var at = block * WORKGROUP + lane.index; at < params.total; at += params.blocks * WORKGROUP) {
        let g = packed(at);
        flat[at] = g;
        total += dot(g, g);
    }
    if HAS_SQUARES {
        total = workgroup_sum(lane, total);
        if lane.index == 0u { partials[block] = total; }
    }
}
