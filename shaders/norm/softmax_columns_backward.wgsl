// out = y · (g - Σ g·y) along the middle axis of [outer, reduced, inner], y a softmax (LOG: g - e^y · Σ g, y its logarithm).
// One workgroup per COLS neighbouring columns: its WORKGROUP / COLS rows of lanes stride down them, once for the sum, once for the result.

override WORKGROUP: u32 = 256;
override LOG: u32 = 0;
//!include lib/index.wgsl
//!include lib/column_tile.wgsl

struct Params { inner: u32, reduced: u32, tiles: u32, total: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    take_tile(flat_group(group, groups), lane);
    var sum = 0.0;
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) {
        let i = tile_first + r * params.inner;
        sum += g[i] * select(y[i], 1.0, LOG == 1u);
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { sums[lane] += sums[lane + stride]; }
        workgroupBarrier();
    }
    sum = sums[lane % COLS];
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) {
        let i = tile_first + r * params.inner;
        if LOG == 1u { out[i] = g[i] - exp(y[i]) * sum; } else { out[i] = y[i] * (g[i] - sum); }
    }
}
