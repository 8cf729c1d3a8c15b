// Slices of two operands in shared memory and the sums of their products, for tiles of up to 128 rows and columns. The including file
// says how many inner indices a slice has (DEPTH) and which operand is wider than 64 (LEFT_WIDE, RIGHT_WIDE).

// [inner index][quad], four rows or columns per vec4. The lengths of rows are constant so that every index is checked once, not at
// each step, and odd so that what is stored down a column spreads over all banks; narrow tiles have slices of their own, so that more fit.
alias Wide = array<vec4<f32>, 33>;
alias Narrow = array<vec4<f32>, 17>;
override LEFT_WIDE_DEPTH: u32 = select(1u, DEPTH, LEFT_WIDE);
override RIGHT_WIDE_DEPTH: u32 = select(1u, DEPTH, RIGHT_WIDE);
override LEFT_NARROW_DEPTH: u32 = select(DEPTH, 1u, LEFT_WIDE);
override RIGHT_NARROW_DEPTH: u32 = select(DEPTH, 1u, RIGHT_WIDE);
var<workgroup> left_wide: array<Wide, LEFT_WIDE_DEPTH>;
var<workgroup> right_wide: array<Wide, RIGHT_WIDE_DEPTH>;
var<workgroup> left_narrow: array<Narrow, LEFT_NARROW_DEPTH>;
var<workgroup> right_narrow: array<Narrow, RIGHT_NARROW_DEPTH>;

// Sums of 4×4 blocks, a column of the matrix per row of the result: c, then the block's place down and across.
var<private> c00: mat4x4<f32>;
var<private> c01: mat4x4<f32>;
var<private> c02: mat4x4<f32>;
var<private> c03: mat4x4<f32>;
var<private> c10: mat4x4<f32>;
var<private> c11: mat4x4<f32>;
var<private> c12: mat4x4<f32>;
var<private> c13: mat4x4<f32>;

fn left_get(k: u32, quad: u32) -> vec4<f32> {
    if LEFT_WIDE { return left_wide[k][quad]; }
    return left_narrow[k][quad];
}

fn right_get(k: u32, quad: u32) -> vec4<f32> {
    if RIGHT_WIDE { return right_wide[k][quad]; }
    return right_narrow[k][quad];
}

fn left_set(k: u32, quad: u32, four: vec4<f32>) {
    if LEFT_WIDE { left_wide[k][quad] = four; } else { left_narrow[k][quad] = four; }
}

fn right_set(k: u32, quad: u32, four: vec4<f32>) {
    if RIGHT_WIDE { right_wide[k][quad] = four; } else { right_narrow[k][quad] = four; }
}

// One row or column of one inner index. A component of what a function returned would be slow to choose.
fn left_one(k: u32, row: u32) -> f32 {
    if LEFT_WIDE { return left_wide[k][row / 4u][row % 4u]; }
    return left_narrow[k][row / 4u][row % 4u];
}

fn right_one(k: u32, column: u32) -> f32 {
    if RIGHT_WIDE { return right_wide[k][column / 4u][column % 4u]; }
    return right_narrow[k][column / 4u][column % 4u];
}

fn left_put(k: u32, row: u32, value: f32) {
    if LEFT_WIDE { left_wide[k][row / 4u][row % 4u] = value; } else { left_narrow[k][row / 4u][row % 4u] = value; }
}

// x ⊗ y: added to the sums of one block.
fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y); }
