// vectors[s] = theta - origin, vectors[g] = gradient, vectors[y] = gradient - vectors[before]; measures = (Σ|s|, max|s|, Σ|g|, max|g|).
// One workgroup per block; block b takes every stretch of 1024 elements whose number is b modulo the number of blocks.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce.wgsl

// The rows s, y, g and before; vectors: vec4s in a row.
struct Params { vectors: u32, blocks: u32, s: u32, y: u32, g: u32, before: u32 }

@group(0) @binding(0) var<storage, read_write> vectors: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> measures: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> theta: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> origin: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> params: Params;

// The workgroup's maximum; NaN where the sum of the same values is.
fn greatest(lane: Lane, value: f32, sum: f32) -> f32 {
    let found = workgroup_max(lane, value);
    return select(found, nan(), is_nan(sum));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let n = params.vectors;
    var s_sum = 0.0;
    var g_sum = 0.0;
    var s_most = vec4<f32>(0.0);
    var g_most = vec4<f32>(0.0);
    for (var i = block * WORKGROUP + lane.index; i < n; i += params.blocks * WORKGROUP) {
        let s = theta[i] - origin[i];
        let g = gradient[i];
        vectors[params.s * n + i] = s;
        vectors[params.y * n + i] = g - vectors[params.before * n + i];
        vectors[params.g * n + i] = g;
        s_sum += dot(abs(s), vec4<f32>(1.0));
        g_sum += dot(abs(g), vec4<f32>(1.0));
        s_most = max(s_most, abs(s));
        g_most = max(g_most, abs(g));
    }
    let s_total = workgroup_sum(lane, s_sum);
    let g_total = workgroup_sum(lane, g_sum);
    let s_max = greatest(lane, max(max(s_most.x, s_most.y), max(s_most.z, s_most.w)), s_total);
    let g_max = greatest(lane, max(max(g_most.x, g_most.y), max(g_most.z, g_most.w)), g_total);
    if lane.index == 0u { measures[block] = vec4<f32>(s_total, s_max, g_total, g_max); }
}
