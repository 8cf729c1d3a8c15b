// out = rstd · (h - mean(h) - z · mean(h · z)) along each row, h = g · weight, z = (x - first - offset) · rstd.
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup.  Without CENTERED (RMS norm) z = x · rstd and no mean(h).

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override CENTERED: u32 = 0;
override HAS_WEIGHT: u32 = 0;
//!include lib/index.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> offset: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

alias Item = vec2<f32>;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn weighted(first: u32, i: u32) -> f32 {
    if HAS_WEIGHT == 1u { return g[first + i] * weight[i]; }
    return g[first + i];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let at = index % SEGMENT;
    let row = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let cols = select(0u, params.cols, row < params.rows);
    let first = row * params.cols;
    var scale = 0.0;
    var origin = 0.0;
    var mean = 0.0;
    if cols > 0u {
        scale = rstd[row];
        if CENTERED == 1u { origin = x[first]; mean = offset[row]; }
    }
    var sums = Item(0.0, 0.0);
    for (var i = at; i < cols; i += SEGMENT) {
        let h = weighted(first, i);
        sums += Item(h, h * ((x[first + i] - origin - mean) * scale));
    }
    sums = segment_reduce(lane, sums) / f32(params.cols);
    if CENTERED == 0u { sums.x = 0.0; }
    for (var i = at; i < cols; i += SEGMENT) {
        let z = (x[first + i] - origin - mean) * scale;
        out[first + i] = scale * (weighted(first, i) - sums.x - z * sums.y);
    }
}
