// partials[b, r] = vectors[r]·(vectors[s], vectors[y], vectors[g], direction), over the elements of block b.
// One workgroup per four rows and block; block b takes every stretch of 1024 elements whose number is b modulo the number of blocks.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override ROWS: u32 = 4;
//!include lib/index.wgsl
//!include lib/row_sums.wgsl

// The rows s, y and g; vectors: vec4s in a row; tiles: fours of rows.
struct Params { vectors: u32, count: u32, tiles: u32, blocks: u32, s: u32, y: u32, g: u32 }

@group(0) @binding(0) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> direction: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// A row's sum over the workgroup, into its place; rows past the end have none.
fn store(lane: Lane, block: u32, row: u32, mine: vec4<f32>) {
    workgroupBarrier();  // the last sum has been read
    let sums = row_sums(lane, mine);
    if lane_index(lane) == 0u && row < params.count { partials[block * params.count + row] = sums; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let task = flat_group(group, groups);
    let block = task / params.tiles;
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let n = params.vectors;
    let first = task % params.tiles * 4u;
    let rows = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.count - 1u)) * n;
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);
    for (var i = block * WORKGROUP + lane_index(lane); i < n; i += params.blocks * WORKGROUP) {
        let s = vectors[params.s * n + i];
        let y = vectors[params.y * n + i];
        let g = vectors[params.g * n + i];
        let d = direction[i];
        let v0 = vectors[rows.x + i];
        let v1 = vectors[rows.y + i];
        let v2 = vectors[rows.z + i];
        let v3 = vectors[rows.w + i];
        sum0 += vec4<f32>(dot(v0, s), dot(v0, y), dot(v0, g), dot(v0, d));
        sum1 += vec4<f32>(dot(v1, s), dot(v1, y), dot(v1, g), dot(v1, d));
        sum2 += vec4<f32>(dot(v2, s), dot(v2, y), dot(v2, g), dot(v2, d));
        sum3 += vec4<f32>(dot(v3, s), dot(v3, y), dot(v3, g), dot(v3, d));
    }
    store(lane, block, first, sum0);
    store(lane, block, first + 1u, sum1);
    store(lane, block, first + 2u, sum2);
    store(lane, block, first + 3u, sum3);
}
