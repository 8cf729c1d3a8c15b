// out[r, p] = OP over part p of row r of x (or of x - center[r]) / divisor.  OP: see lib/reduce_ops.wgsl.
// SEGMENT lanes per part, WORKGROUP / SEGMENT parts per workgroup.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override OP: u32;
override VEC4: u32 = 0;  // 1: every part starts at a multiple of four elements
override HAS_CENTER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce_ops.wgsl
//!include lib/reduce_segments.wgsl

// A row has `parts` parts of `chunk` elements, the last one what is left; centers repeat over the rows.
struct Params { rows: u32, cols: u32, parts: u32, chunk: u32, centers: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let at = index % SEGMENT;
    let part = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let row = part / params.parts;
    var item = identity();
    if row < params.rows {
        let start = part % params.parts * params.chunk;
        let first = row * params.cols + start;
        let end = first + min(params.chunk, params.cols - start);
        var shift = 0.0;
        if HAS_CENTER == 1u { shift = center[row % params.centers]; }
        var scalars = first;  // from here on one by one
        if VEC4 == 1u {
            for (var i = first / 4u + at; i < end / 4u; i += SEGMENT) { item = accumulate4(item, x[i] - shift); }
            scalars = end / 4u * 4u;
        }
        for (var i = scalars + at; i < end; i += SEGMENT) { item = accumulate(item, x[i / 4u][i % 4u] - shift); }
    }
    item = segment_reduce(lane, item);
    if at == 0u && row < params.rows { out[part] = finish(item, params.divisor); }
}
