// out[o, p, i] = the index of the first maximum (or minimum) in part p of the middle axis; the first NaN wins.
// SEGMENT lanes per result, WORKGROUP / SEGMENT results per workgroup.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override MINIMUM: u32 = 0;
override HAS_CANDIDATES: u32 = 0;  // 1: only the elements with these indices take part, [outer, candidates, inner]
//!include lib/index.wgsl
//!include lib/reduce_segments.wgsl
//!include lib/argument.wgsl

// `length` elements (or candidates) along the axis, in `parts` parts of `chunk`, the last one what is left.
struct Params { results: u32, inner: u32, reduced: u32, length: u32, parts: u32, chunk: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> candidates: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let result = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    var item = Item(0u, 0xffffffffu);
    if result < params.results {
        let column = result % params.inner;
        let part = result / params.inner;  // of all parts of all outer indices
        let outer = part / params.parts;
        let start = part % params.parts * params.chunk;
        let end = start + min(params.chunk, params.length - start);
        for (var i = start + index % SEGMENT; i < end; i += SEGMENT) {
            var r = i;
            if HAS_CANDIDATES == 1u { r = u32(candidates[(outer * params.length + i) * params.inner + column]); }
            item = combine(item, Item(key(x[(outer * params.reduced + r) * params.inner + column]), r));
        }
    }
    item = segment_reduce(lane, item);
    if index % SEGMENT == 0u && result < params.results { out[result] = i32(item.y); }
}
