// weight_gradient[p] = Σ g · z, bias_gradient[p] = Σ g over the rows of part p, z = (x - first - offset) · rstd (RMS norm: x · rstd).
// One workgroup per COLS neighbouring columns of one part: its WORKGROUP / COLS rows of lanes stride down the columns.

override WORKGROUP: u32 = 256;
override COLS: u32 = 32;
override CENTERED: u32 = 0;
//!include lib/index.wgsl

struct Params { rows: u32, cols: u32, chunk: u32, tiles: u32, total: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> offset: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> bias_gradient: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> items: array<vec2<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let part = tile / params.tiles;
    let column = tile % params.tiles * COLS + lane % COLS;
    let here = tile < params.total && column < params.cols;
    var sums = vec2(0.0, 0.0);
    if here {
        let end = min((part + 1u) * params.chunk, params.rows);
        for (var row = part * params.chunk + lane / COLS; row < end; row += WORKGROUP / COLS) {
            let first = row * params.cols;
            var v = x[first + column];
            if CENTERED == 1u { v = v - x[first] - offset[row]; }
            let here_g = g[first + column];
            sums += vec2(here_g * (v * rstd[row]), here_g);
        }
    }
    items[lane] = sums;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { items[lane] += items[lane + stride]; }
        workgroupBarrier();
    }
    if here && lane < COLS {
        weight_gradient[part * params.cols + column] = items[lane].x;
        bias_gradient[part * params.cols + column] = items[lane].y;
    }
}
