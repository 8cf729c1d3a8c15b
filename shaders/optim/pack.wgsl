// flat = up to six sources one after another, each followed by zeros up to its span.
// One invocation per four elements of flat; spans are multiples of four.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

// ends: where each span ends in flat, in vec4s; sizes: elements of each source, 0 for one that is missing.
struct Params {
    ends_low: vec4<u32>, ends_high: vec4<u32>,
    sizes_low: vec4<u32>, sizes_high: vec4<u32>,
    total: u32,
}

@group(0) @binding(0) var<storage, read_write> flat: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> source0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> source1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> source2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> source3: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> source5: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

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

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let at = flat_group(group, groups) * WORKGROUP + lane;
    if at >= params.total { return; }
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
    var values = vec4<f32>(0.0);
    if first < size {
        let inside = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(size);
        values = select(values, load(source, at - start), inside);
    }
    flat[at] = values;
}
