// out[c,b,i] = Σ_r f'_r(x[b,i]) · Σ over j of split c of g[b,j] · table[i,r,j], f' the slopes of the B-splines (0 outside) and the SiLU.
// One workgroup per TILE samples, INPUTS inputs and split of the outputs. A spline's slope is one of a degree less with the differences
// of its coefficients: a row less to multiply. The sums over j stay in registers and meet the functions of x through shared memory.

override DEGREE: u32 = 3;
override INPUTS: u32 = 8;  // INPUTS · SLOPES is at most TILE; DEPTH is 16
override SLOPES: u32 = 8;  // rows per input here: ROWS - 1 or more, the last ones empty
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_point.wgsl
//!include lib/kan_tile.wgsl
//!include lib/kan_table.wgsl
//!include lib/kan_arriving.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, input_tiles: u32, sample_tiles: u32, split: u32, splits: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override VECTOR: bool = false;  // outputs and split are multiples of 4: 16-byte loads

fn put(row: u32, column: u32, value: f32) {}

// Where a sample, or the table's row after row n of the slopes, begins; of those outside some other one, whose sums nobody reads.
fn sample_start(sample: u32) -> u32 { return min(sample, params.batch - 1u) * params.outputs; }
fn next_start(n: u32) -> u32 {
    return (min(n / SLOPES, params.inputs - 1u) * ROWS + min(n % SLOPES + 1u, ROWS - 1u)) * params.outputs;
}

// A 4×4 block as it is stored: four samples or rows of the table after rows of the slopes, four outputs of each.
fn load_g(sample: u32, j: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        arriving_four(sample_start(sample), j), arriving_four(sample_start(sample + 1u), j),
        arriving_four(sample_start(sample + 2u), j), arriving_four(sample_start(sample + 3u), j),
    );
}

fn load_next(n: u32, j: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        table_four(next_start(n), j), table_four(next_start(n + 1u), j), table_four(next_start(n + 2u), j), table_four(next_start(n + 3u), j),
    );
}

fn load_row(n: u32, j: u32) -> vec4<f32> { return table_four(next_start(n) - params.outputs, j); }

// The rows before those: of one input the row before the second one is the first.
fn load_rows(n: u32, next: mat4x4<f32>, j: u32) -> mat4x4<f32> {
    if SLOPES % 4u == 0u { return mat4x4<f32>(load_row(n, j), next[0], next[1], next[2]); }
    return mat4x4<f32>(load_row(n, j), load_row(n + 1u, j), load_row(n + 2u, j), load_row(n + 3u, j));
}

// The base's slope has a row of its own, the last.
fn slope_row(n: u32, next: vec4<f32>, row: vec4<f32>) -> vec4<f32> {
    return next - select(row, vec4<f32>(), BASE && n % SLOPES + 1u == FUNCTIONS);
}

// Puts blocks into shared memory, a column of the matrix per output; nothing arrives where `left_over` outputs are none.
fn share_g(deep: u32, quad: u32, left_over: u32, stored: mat4x4<f32>) {
    let block = transpose(stored);
    let zero = vec4<f32>();
    left_set(deep, quad, select(zero, block[0], left_over > 0u));
    left_set(deep + 1u, quad, select(zero, block[1], left_over > 1u));
    left_set(deep + 2u, quad, select(zero, block[2], left_over > 2u));
    left_set(deep + 3u, quad, select(zero, block[3], left_over > 3u));
}

fn share_slopes(deep: u32, quad: u32, n: u32, next: mat4x4<f32>, rows: mat4x4<f32>) {
    let block = transpose(mat4x4<f32>(
        slope_row(n, next[0], rows[0]), slope_row(n + 1u, next[1], rows[1]),
        slope_row(n + 2u, next[2], rows[2]), slope_row(n + 3u, next[3], rows[3]),
    ));
    right_set(deep, quad, block[0]);
    right_set(deep + 1u, quad, block[1]);
    right_set(deep + 2u, quad, block[2]);
    right_set(deep + 3u, quad, block[3]);
}

// The block of g, else of the table: a wide tile's invocations bring both, those of the other one of them.
fn fetch(of_g: bool, of_slopes: bool, sample: u32, row: u32, j: u32) -> mat4x4<f32> {
    if WIDE || of_g { return load_g(sample, j); }
    if of_slopes { return load_next(row, j); }
    return mat4x4<f32>();
}

fn rows_before(of_slopes: bool, row: u32, one: mat4x4<f32>, other: mat4x4<f32>, j: u32) -> mat4x4<f32> {
    if WIDE { return load_rows(row, other, j); }
    if of_slopes { return load_rows(row, one, j); }
    return mat4x4<f32>();
}

// Puts 16 samples' sums, quads of rows 4·part and on, into the left slice as [sample][row].
fn share(place: vec2<u32>, part: u32) {
    if place.x / 4u == part { share_rows(place, c00, c01, c02, c03); }
    if WIDE && (place.x + 8u) / 4u == part { share_rows(place, c10, c11, c12, c13); }
}

fn share_rows(place: vec2<u32>, s0: mat4x4<f32>, s1: mat4x4<f32>, s2: mat4x4<f32>, s3: mat4x4<f32>) {
    let at = place.x % 4u * 4u;
    share_block(at, place.y, s0);
    if WIDE {
        share_block(at, place.y + 4u, s1);
        share_block(at, place.y + 8u, s2);
        share_block(at, place.y + 12u, s3);
    }
}

fn share_block(at: u32, quad: u32, sums: mat4x4<f32>) {
    left_set(at, quad, sums[0]);
    left_set(at + 1u, quad, sums[1]);
    left_set(at + 2u, quad, sums[2]);
    left_set(at + 3u, quad, sums[3]);
}

// DEGREE functions of degree DEGREE - 1 in a cell, per cell and 0 outside the grid, times the sums of a sample from `row`.
fn slope(sample: u32, row: u32, at: f32) -> f32 {
    let cell = cell_of(at, params.grid, params.knots);
    let b = lower_values(cell);
    var sum = 0.0;
    for (var r = 0u; r < DEGREE; r++) { sum += b[r] * left_one(sample, row + cell.first + r); }
    sum = select(0.0, sum * params.grid.z, cell.inside);
    if is_nan(at) { sum = at; }
    if BASE {
        let s = sigmoid(at);
        sum += s * (1.0 + at * (1.0 - s)) * left_one(sample, row + FUNCTIONS - 1u);
    }
    return sum;
}

fn lower_values(cell: Cell) -> array<f32, 6> {
    var b = array<f32, 6>(1.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (var j = 1u; j < DEGREE; j++) {
        var saved = 0.0;
        for (var r = 0u; r < j; r++) {
            let share = b[r] / f32(j);  // knots j apart
            b[r] = saved + (f32(r + 1u) - cell.t) * share;
            saved = (cell.t + f32(j - 1u - r)) * share;
        }
        b[j] = saved;
    }
    return b;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_input = tile % params.input_tiles * INPUTS;
    let first_sample = tile / params.input_tiles % params.sample_tiles * TILE;
    let c = tile / params.input_tiles / params.sample_tiles;
    if c >= params.splits { return; }
    let start = c * params.split;
    let end = min(start + params.split, params.outputs);
    let place = place_of(lane);
    // A slice has 4·QUADS blocks of g and as many of the table: an invocation of 128 brings one of each, the first ones of 256 the
    // first, the next ones the second.
    let loader = lane % (4u * QUADS);
    let brings_g = WIDE || lane / (4u * QUADS) == 0u;
    let brings_slopes = WIDE || lane / (4u * QUADS) == 1u;
    let quad = loader / 2u % QUADS;
    let deep = 4u * (loader % 2u + loader / (2u * QUADS) * 2u);
    let sample = first_sample + 4u * quad;
    let row = first_input * SLOPES + 4u * quad;
    var one = fetch(brings_g, brings_slopes, sample, row, start + deep);
    var other = mat4x4<f32>();
    if WIDE { other = load_next(row, start + deep); }
    var rows = rows_before(brings_slopes, row, one, other, start + deep);
    for (var j = start; j < end; j += DEPTH) {
        if brings_g { share_g(deep, quad, end - min(j + deep, end), one); }
        if WIDE { share_slopes(deep, quad, row, other, rows); } else if brings_slopes { share_slopes(deep, quad, row, one, rows); }
        workgroupBarrier();
        // The next slice comes from memory while this one is multiplied.
        let ahead = j + DEPTH + deep;
        one = fetch(brings_g, brings_slopes, sample, row, ahead);
        if WIDE { other = load_next(row, ahead); }
        rows = rows_before(brings_slopes, row, one, other, ahead);
        add_products(place);
        workgroupBarrier();
    }
    for (var part = 0u; part < TILE / 16u; part++) {
        share(place, part);
        workgroupBarrier();
        for (var n = lane; n < 16u * INPUTS; n += WORKGROUP) {
            let i = first_input + n % INPUTS;
            let shown = first_sample + part * 16u + n / INPUTS;
            if i < params.inputs && shown < params.batch {
                let at = shown * params.inputs + i;
                out[c * params.batch * params.inputs + at] = slope(n / INPUTS, n % INPUTS * SLOPES, x[at]);
            }
        }
        workgroupBarrier();
    }
}
