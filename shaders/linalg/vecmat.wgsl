// out = activation(a·b + bias): vector [rows] times matrix [rows, cols] (f32, f16 or bf16).
// One workgroup per 32 columns: 8 invocations across, 4 columns each, the others down the rows; then one sum over those.

override WORKGROUP: u32 = 256;
override VECTOR_B: bool = false;  // cols is a multiple of 4
override HAS_BIAS: bool = false;
const ACROSS = 8u;
//!include lib/index.wgsl
//!include lib/tile_weights.wgsl
//!include lib/tile_activation.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

// Columns c..c+3 of a row; past the last column the last one again, which is not stored.
fn four(row: u32, c: u32) -> vec4<f32> {
    let start = row * params.cols;
    if VECTOR_B { return read_weights4(start + c); }
    let last = params.cols - 1u;
    return vec4<f32>(read_weight(start + c), read_weight(start + min(c + 1u, last)), read_weight(start + min(c + 2u, last)), read_weight(start + min(c + 3u, last)));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let c = (flat_group(group, groups) * ACROSS + lane % ACROSS) * 4u;
    var sum = vec4<f32>();
    if c < params.cols {
        for (var row = lane / ACROSS; row < params.rows; row += WORKGROUP / ACROSS) { sum += a[row] * four(row, c); }
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= ACROSS; stride /= 2u) {
        if lane < stride { sums[lane] += sums[lane + stride]; }
        workgroupBarrier();
    }
    if lane >= ACROSS || c >= params.cols { return; }
    sum = sums[lane];
    for (var j = 0u; j < min(4u, params.cols - c); j++) {
        var value = sum[j];
        if HAS_BIAS { value += bias[c + j]; }
        out[c + j] = activate(value);
    }
}
