// partials[b, r] = vectors[r]·(vectors[s], vectors[y], vectors[g], direction), over the elements of block b.
// One workgroup per row and block; block b takes every stretch of 1024 elements whose number is b modulo the number of blocks.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override ROWS: u32 = 4;
//!include lib/index.wgsl
//!include lib/row_sums.wgsl

// The rows s, y and g; vectors: vec4s in a row.
struct Params { vectors: u32, count: u32, blocks: u32, s: u32, y: u32, g: u32 }

@group(0) @binding(0) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> direction: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let task = flat_group(group, groups);
    if task >= params.blocks * params.count { return; }  // the same for the whole workgroup
    let index = lane_index(lane);
    let n = params.vectors;
    let row = task % params.count * n;
    var sums = vec4<f32>(0.0);
    for (var i = task / params.count * WORKGROUP + index; i < n; i += params.blocks * WORKGROUP) {
        let v = vectors[row + i];
        let s = vectors[params.s * n + i];
        let y = vectors[params.y * n + i];
        let g = vectors[params.g * n + i];
        sums += vec4<f32>(dot(v, s), dot(v, y), dot(v, g), dot(v, direction[i]));
    }
    sums = row_sums(lane, sums);
    if index == 0u { partials[task] = sums; }
}
