// out = activation(b·a + bias): matrix [rows, cols] (f32, f16 or bf16) times vector [cols].
// One workgroup (a subgroup on most hardware) per ROWS rows, 16 bytes of each per invocation and step.

override WORKGROUP: u32 = 32;
override ROWS: u32 = 4;   // 1, 2 or 4
override WIDTH: u32 = 1;  // elements per load: 4 (f32) or 8 (16 bits) where cols is a multiple of it, else 1
override HAS_BIAS: bool = false;
//!include lib/index.wgsl
//!include lib/reduce.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// WIDTH elements of a row times those of the vector; a row past the end repeats the last one and is not stored.
fn part(row: u32, c: u32, low: vec4<f32>, high: vec4<f32>) -> f32 {
    let at = min(row, params.rows - 1u) * params.cols + c;
    if WIDTH == 4u { return dot(bitcast<vec4<f32>>(b[at >> 2u]), low); }
    if WIDTH == 8u {
        let w = b[at >> 3u];
        return dot(vec4<f32>(weight_pair(w.x), weight_pair(w.y)), low) + dot(vec4<f32>(weight_pair(w.z), weight_pair(w.w)), high);
    }
    return read_weight(at) * low.x;
}

fn store(row: u32, sum: f32) {
    if row >= params.rows { return; }
    var value = sum;
    if HAS_BIAS { value += bias[row]; }
    out[row] = activate(value);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let row = flat_group(group, groups) * ROWS;
    var sums = vec4<f32>();
    if row < params.rows {
        for (var c = lane.index * WIDTH; c < params.cols; c += WORKGROUP * WIDTH) {
            var low = vec4<f32>(a[c >> 2u]);
            var high = low;
            if WIDTH == 8u { high = a[(c >> 2u) + 1u]; }
            if WIDTH == 1u { low.x = a[c >> 2u][c & 3u]; }
            sums.x += part(row, c, low, high);
            if ROWS > 1u { sums.y += part(row + 1u, c, low, high); }
            if ROWS > 2u {
                sums.z += part(row + 2u, c, low, high);
                sums.w += part(row + 3u, c, low, high);
            }
        }
    }
    let first = workgroup_sum(lane, sums.x);
    if lane.index == 0u { store(row, first); }
    if ROWS > 1u {
        let second = workgroup_sum(lane, sums.y);
        if lane.index == 0u { store(row + 1u, second); }
    }
    if ROWS > 2u {
        let third = workgroup_sum(lane, sums.z);
        let fourth = workgroup_sum(lane, sums.w);
        if lane.index == 0u {
            store(row + 2u, third);
            store(row + 3u, fourth);
        }
    }
}
