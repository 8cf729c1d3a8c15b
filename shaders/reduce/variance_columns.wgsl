// out[o, i] = Σ (x - μ)² / divisor along the middle axis of [outer, reduced, inner], μ its mean.
// One workgroup per COLS neighbouring columns: its WORKGROUP / COLS rows of lanes stride down them, once for μ, once for the squares.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/column_tile.wgsl

struct Params { inner: u32, reduced: u32, tiles: u32, total: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP>;

// The sum over the lanes of a column, for each of them.
fn column_sum(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { sums[lane] += sums[lane + stride]; }
        workgroupBarrier();
    }
    let sum = sums[lane % COLS];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    take_tile(tile, lane);
    let origin = x[tile_first];  // all is relative to it, so that a mean far from zero costs no digits
    var sum = 0.0;
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) { sum += x[tile_first + r * params.inner] - origin; }
    let mean = column_sum(lane, sum) / f32(params.reduced);
    sum = 0.0;
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) {
        let d = x[tile_first + r * params.inner] - origin - mean;
        sum += d * d;
    }
    sum = column_sum(lane, sum);
    if tile_here && lane < COLS { out[tile / params.tiles * params.inner + tile % params.tiles * COLS + lane] = sum / params.divisor; }
}
