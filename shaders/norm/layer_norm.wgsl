// out = (x - μ) / √(σ² + eps) · weight + bias along each row; offset = μ - the row's first element, rstd = 1 / √(σ² + eps).
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup; all values are taken relative to the row's first,
// so that a mean far from zero costs no digits.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override VEC4: u32 = 0;  // 1: every row starts at a multiple of four elements
override HAS_WEIGHT: u32 = 0;
override HAS_BIAS: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/squares.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> offset: array<f32>;
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

alias Item = vec2<f32>;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn value(i: u32) -> f32 { return x[i / 4u][i % 4u]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let at = index % SEGMENT;
    let row = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let cols = select(0u, params.cols, row < params.rows);
    let first = row * params.cols;
    let count = f32(params.cols);
    var origin = 0.0;
    if cols > 0u { origin = value(first); }

    var sum = 0.0;
    if VEC4 == 1u {
        for (var i = at; i < cols / 4u; i += SEGMENT) { sum += dot(x[first / 4u + i] - origin, vec4(1.0)); }
    } else {
        for (var i = at; i < cols; i += SEGMENT) { sum += value(first + i) - origin; }
    }
    let mean = segment_reduce(lane, Item(sum, 0.0)).x / count;

    var item = Item(0.0, 0.0);
    for (var i = at; i < cols; i += SEGMENT) { item += squares(value(first + i) - origin - mean); }
    let scale = inverse_root(segment_reduce(lane, item), count, params.eps);

    for (var i = at; i < cols; i += SEGMENT) {
        var y = (value(first + i) - origin - mean) * scale;
        if HAS_WEIGHT == 1u { y *= weight[i]; }
        if HAS_BIAS == 1u { y += bias[i]; }
        out[first + i] = y;
    }
    if at == 0u && cols > 0u {
        offset[row] = mean;
        rstd[row] = scale;
    }
}
