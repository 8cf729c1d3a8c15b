// out = activation(b·a + bias): f32 matrix [rows, cols] times vector [cols], many rows at a time.
// One workgroup of 8 lanes per 16 rows, 4 columns of each per lane and round: for software adapters, where a load costs most.

override VECTOR: bool = false;    // cols is a multiple of 4: 16-byte loads
override HAS_BIAS: bool = false;
const ROWS = 16u;
//!include lib/index.wgsl
//!include lib/four.wgsl
//!include lib/four_from.wgsl
//!include lib/tile_activation.wgsl

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> a: array<Four>;
@group(0) @binding(1) var<storage, read> b: array<Four>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Sums of four rows each: [lane][four rows].
var<workgroup> partial: array<vec4<f32>, 32>;

// Columns c..c+3 of a row; past the end 0, and of rows past the end those of the last one, whose sums are not stored.
fn row(r: u32, c: u32) -> vec4<f32> {
    let i = min(r, params.rows - 1u) * params.cols + c;
    if VECTOR { return floats(b[i >> 2u]); }
    return inside(four_from(floats(b[i >> 2u]), floats(b[(i >> 2u) + 1u]), i), c);
}

fn inside(x: vec4<f32>, c: u32) -> vec4<f32> {
    return select(vec4<f32>(), x, vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(params.cols));
}

fn four_rows(r: u32, c: u32, x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(row(r, c), x), dot(row(r + 1u, c), x), dot(row(r + 2u, c), x), dot(row(r + 3u, c), x));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let r = flat_group(group, groups) * ROWS;
    if r >= params.rows { return; }
    var s0 = vec4<f32>();
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    for (var c = 4u * lane; c < params.cols; c += 32u) {
        var x = floats(a[c >> 2u]);
        if !VECTOR { x = inside(x, c); }
        s0 += four_rows(r, c, x);
        s1 += four_rows(r + 4u, c, x);
        s2 += four_rows(r + 8u, c, x);
        s3 += four_rows(r + 12u, c, x);
    }
    partial[4u * lane] = s0;
    partial[4u * lane + 1u] = s1;
    partial[4u * lane + 2u] = s2;
    partial[4u * lane + 3u] = s3;
    workgroupBarrier();
    if lane >= 4u { return; }
    var sums = partial[lane];
    for (var i = 1u; i < 8u; i++) { sums += partial[4u * i + lane]; }
    for (var j = 0u; j < 4u; j++) { finish(r + 4u * lane + j, sums[j]); }
}

fn finish(r: u32, sum: f32) {
    if r >= params.rows { return; }
    var value = sum;
    if HAS_BIAS { value += bias[r]; }
    out[r] = activate(value);
}
