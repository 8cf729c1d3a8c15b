// out[o, p, i] = OP over part p of the middle axis of integers x, modulo 2³².  OP: 0 sum, 1 max, 2 min.
// SEGMENT lanes per result, WORKGROUP / SEGMENT results per workgroup.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override OP: u32;
//!include lib/index.wgsl
//!include lib/reduce_segments.wgsl

struct Params { results: u32, inner: u32, reduced: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<i32>;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

alias Item = i32;

fn combine(a: Item, b: Item) -> Item {
    switch OP {
        case 0u: { return a + b; }
        case 1u: { return max(a, b); }
        default: { return min(a, b); }
    }
}

fn identity() -> Item {
    switch OP {
        case 0u: { return 0; }
        case 1u: { return bitcast<i32>(0x80000000u); }
        default: { return 0x7fffffff; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let result = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    var item = identity();
    if result < params.results {
        let part = result / params.inner;  // of all parts of all outer indices
        let start = part % params.parts * params.chunk;
        let count = min(params.chunk, params.reduced - start);
        let first = (part / params.parts * params.reduced + start) * params.inner + result % params.inner;
        for (var r = index % SEGMENT; r < count; r += SEGMENT) { item = combine(item, x[first + r * params.inner]); }
    }
    item = segment_reduce(lane, item);
    if index % SEGMENT == 0u && result < params.results { out[result] = item; }
}
