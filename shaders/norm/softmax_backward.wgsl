// out = y · (g - Σ g·y) along each row, y a softmax (LOG: g - e^y · Σ g, y its logarithm).
// SEGMENT lanes per row, WORKGROUP / SEGMENT rows per workgroup.

override WORKGROUP: u32 = 256;
override SEGMENT: u32 = 256;
override LOG: u32 = 0;
override VEC4: u32 = 0;  // 1: every row starts at a multiple of four elements
//!include lib/index.wgsl
//!include lib/reduce_segments.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

alias Item = f32;

fn combine(a: Item, b: Item) -> Item { return a + b; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let index = lane_index(lane);
    let at = index % SEGMENT;
    let row = flat_group(group, groups) * (WORKGROUP / SEGMENT) + index / SEGMENT;
    let cols = select(0u, params.cols, row < params.rows);
    let first = row * params.cols;
    var sum = 0.0;
    if VEC4 == 1u {
        for (var i = at; i < cols / 4u; i += SEGMENT) {
            sum += dot(g[first / 4u + i], select(y[first / 4u + i], vec4(1.0), LOG == 1u));
        }
    } else {
        for (var i = first + at; i < first + cols; i += SEGMENT) {
            sum += g[i / 4u][i % 4u] * select(y[i / 4u][i % 4u], 1.0, LOG == 1u);
        }
    }
    sum = segment_reduce(lane, sum);
    for (var i = first + at; i < first + cols; i += SEGMENT) {
        let here = g[i / 4u][i % 4u];
        let value = y[i / 4u][i % 4u];
        if LOG == 1u { out[i] = here - exp(value) * sum; } else { out[i] = value * (here - sum); }
    }
}
