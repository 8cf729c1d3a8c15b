// A block of 32 rows for 8×8 invocations: each owns four rows and, of every 32 result columns, four.
// The including file has `out` and
//     fn operand(at: u32, c: u32) -> vec4<f32>     what the weights are multiplied with: elements c..c+3 of the row at `at`
override GROUPS: u32 = 8;  // ceil(dim / 32): blocks of 32 result columns

const SIDE = 32u;

var<private> acc0: mat4x4<f32>;
var<private> acc1: mat4x4<f32>;
var<private> acc2: mat4x4<f32>;
var<private> acc3: mat4x4<f32>;
var<private> acc4: mat4x4<f32>;
var<private> acc5: mat4x4<f32>;
var<private> acc6: mat4x4<f32>;
var<private> acc7: mat4x4<f32>;

// Weights of 4 rows for each column: [column][row / 4].
var<workgroup> weights: array<vec4<f32>, 256>;

fn outer(w: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(w.x * y, w.y * y, w.z * y, w.w * y); }

// Adds weight times operand to the four rows of this invocation; at: where the operand's row starts.
fn accumulate(w: vec4<f32>, at: u32, c: u32) {
    acc0 += outer(w, operand(at, c));
    if GROUPS > 1u { acc1 += outer(w, operand(at, c + 32u)); }
    if GROUPS > 2u { acc2 += outer(w, operand(at, c + 64u)); }
    if GROUPS > 3u { acc3 += outer(w, operand(at, c + 96u)); }
    if GROUPS > 4u { acc4 += outer(w, operand(at, c + 128u)); }
    if GROUPS > 5u { acc5 += outer(w, operand(at, c + 160u)); }
    if GROUPS > 6u { acc6 += outer(w, operand(at, c + 192u)); }
    if GROUPS > 7u { acc7 += outer(w, operand(at, c + 224u)); }
}

fn scaled(m: mat4x4<f32>, f: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(f.x * m[0], f.y * m[1], f.z * m[2], f.w * m[3]); }

fn rescale(f: vec4<f32>) {
    acc0 = scaled(acc0, f);
    if GROUPS > 1u { acc1 = scaled(acc1, f); }
    if GROUPS > 2u { acc2 = scaled(acc2, f); }
    if GROUPS > 3u { acc3 = scaled(acc3, f); }
    if GROUPS > 4u { acc4 = scaled(acc4, f); }
    if GROUPS > 5u { acc5 = scaled(acc5, f); }
    if GROUPS > 6u { acc6 = scaled(acc6, f); }
    if GROUPS > 7u { acc7 = scaled(acc7, f); }
}

// One row of the result; count rows exist from `row` on.
fn store_group(start: u32, row: u32, count: u32, c: u32, sums: mat4x4<f32>) {
    if c >= params.dim { return; }
    for (var i = 0u; i < 4u; i++) {
        if row + i >= count { return; }
        for (var j = 0u; j < min(4u, params.dim - c); j++) { out[start + (row + i) * params.dim + c + j] = sums[i][j]; }
    }
}

fn store_all(start: u32, row: u32, count: u32, c: u32) {
    store_group(start, row, count, c, acc0);
    if GROUPS > 1u { store_group(start, row, count, c + 32u, acc1); }
    if GROUPS > 2u { store_group(start, row, count, c + 64u, acc2); }
    if GROUPS > 3u { store_group(start, row, count, c + 96u, acc3); }
    if GROUPS > 4u { store_group(start, row, count, c + 128u, acc4); }
    if GROUPS > 5u { store_group(start, row, count, c + 160u, acc5); }
    if GROUPS > 6u { store_group(start, row, count, c + 192u, acc6); }
    if GROUPS > 7u { store_group(start, row, count, c + 224u, acc7); }
}
