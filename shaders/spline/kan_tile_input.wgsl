// out[b,i] = Σ_r f'_r(x[b,i]) · Σ_j g[b,j] · table[i,r,j], f' the derivatives of the B-splines (zero outside the grid) and of the SiLU.
// One workgroup per TILE samples and INPUTS inputs. A spline's slope is one of a degree less with the differences of its coefficients:
// a row less to multiply. The sums over j stay in registers and meet the functions of x through shared memory.

override DEGREE: u32 = 3;
override INPUTS: u32 = 8;  // INPUTS · SLOPES is at most TILE; DEPTH is 16
override SLOPES: u32 = 8;  // rows per input here: ROWS - 1 or more, the last ones empty
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/spline.wgsl
//!include lib/kan_point.wgsl
//!include lib/kan_tile.wgsl

struct Params { grid: vec4<f32>, knots: vec4<f32>, batch: u32, inputs: u32, outputs: u32, input_tiles: u32, sample_tiles: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override VECTOR: bool = false;  // outputs is a multiple of 4: 16-byte loads

fn put(row: u32, column: u32, value: f32) {}

fn table_value(i: u32) -> f32 { return table[i / 4u][i % 4u]; }
fn arriving(i: u32) -> f32 { return g[i / 4u][i % 4u]; }

// Four neighbours along the outputs, of the gradient of one sample or of one row of the table; 0 outside.
fn g_four(sample: u32, j: u32) -> vec4<f32> {
    if sample >= params.batch || j >= params.outputs { return vec4<f32>(); }
    let at = sample * params.outputs + j;
    if VECTOR { return g[at / 4u]; }
    var four = vec4<f32>(arriving(at), 0.0, 0.0, 0.0);
    if j + 1u < params.outputs { four.y = arriving(at + 1u); }
    if j + 2u < params.outputs { four.z = arriving(at + 2u); }
    if j + 3u < params.outputs { four.w = arriving(at + 3u); }
    return four;
}

fn table_row(row: u32, j: u32) -> vec4<f32> {
    let at = row * params.outputs + j;
    if VECTOR { return table[at / 4u]; }
    var four = vec4<f32>(table_value(at), 0.0, 0.0, 0.0);
    if j + 1u < params.outputs { four.y = table_value(at + 1u); }
    if j + 2u < params.outputs { four.z = table_value(at + 2u); }
    if j + 3u < params.outputs { four.w = table_value(at + 3u); }
    return four;
}

// Row n of the slopes, four outputs from j: the difference of two rows of the table, or the base's.
fn slope_four(n: u32, j: u32) -> vec4<f32> {
    let i = n / SLOPES;
    let r = n % SLOPES;
    if i >= params.inputs || j >= params.outputs || r + 1u >= ROWS { return vec4<f32>(); }
    let next = table_row(i * ROWS + r + 1u, j);
    if BASE && r + 1u == FUNCTIONS { return next; }
    return next - table_row(i * ROWS + r, j);
}

fn load_block(role: u32, row: u32, j: u32) -> mat4x4<f32> {
    if role == 0u { return transpose(mat4x4<f32>(g_four(row, j), g_four(row + 1u, j), g_four(row + 2u, j), g_four(row + 3u, j))); }
    if role == 1u {
        return transpose(mat4x4<f32>(slope_four(row, j), slope_four(row + 1u, j), slope_four(row + 2u, j), slope_four(row + 3u, j)));
    }
    return mat4x4<f32>();
}

// Quads of every second group of four inner indices are exchanged, so that these stores meet no bank twice.
fn store_slice(role: u32, deep: u32, quad: u32, block: mat4x4<f32>) {
    let at = deep * QUADS + (quad ^ (deep & 4u));
    if role == 0u { left[at] = block[0]; left[at + QUADS] = block[1]; left[at + 2u * QUADS] = block[2]; left[at + 3u * QUADS] = block[3]; }
    if role == 1u { right[at] = block[0]; right[at + QUADS] = block[1]; right[at + 2u * QUADS] = block[2]; right[at + 3u * QUADS] = block[3]; }
}

// Puts 16 samples' sums, quads of rows 4·part and on, into `left` as [sample][row].
fn share(place: vec2<u32>, part: u32) {
    if place.x / 4u != part % 4u { return; }
    let at = place.x % 4u * 4u * QUADS + place.y;
    if part < 4u {
        for (var q = 0u; q < 4u; q++) {
            left[at + q * QUADS] = low_low[q];
            if TILE == 128u { left[at + q * QUADS + 16u] = low_high[q]; }
        }
    } else {
        for (var q = 0u; q < 4u; q++) {
            left[at + q * QUADS] = high_low[q];
            left[at + q * QUADS + 16u] = high_high[q];
        }
    }
}

fn shared_sum(sample: u32, row: u32) -> f32 { return left[sample * QUADS + row / 4u][row % 4u]; }

// DEGREE functions of degree DEGREE - 1 in a cell, per cell and 0 outside the grid, times the sums of a sample from `row`.
fn slope(sample: u32, row: u32, at: f32) -> f32 {
    let cell = cell_of(at, params.grid, params.knots);
    let b = lower_values(cell);
    var sum = 0.0;
    for (var r = 0u; r < DEGREE; r++) { sum += b[r] * shared_sum(sample, row + cell.first + r); }
    sum = select(0.0, sum * params.grid.z, cell.inside);
    if is_nan(at) { sum = at; }
    if BASE {
        let s = sigmoid(at);
        sum += s * (1.0 + at * (1.0 - s)) * shared_sum(sample, row + FUNCTIONS - 1u);
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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_input = tile % params.input_tiles * INPUTS;
    let first_sample = tile / params.input_tiles * TILE;
    if first_sample >= params.batch { return; }
    let place = place_of(lane);
    // The first 4·QUADS invocations load a 4×4 block of g, the next as many one of the table.
    let loader = lane % (4u * QUADS);
    let quad = loader / 2u % QUADS;
    let deep = 4u * (loader % 2u + loader / (2u * QUADS) * 2u);
    let role = lane / (4u * QUADS);
    let row = select(first_input * SLOPES, first_sample, role == 0u) + 4u * quad;
    var block = load_block(role, row, deep);
    for (var j = 0u; j < params.outputs; j += DEPTH) {
        store_slice(role, deep, quad, block);
        workgroupBarrier();
        block = load_block(role, row, j + DEPTH + deep);  // comes from memory while this slice is multiplied
        add_products(place, 4u);
        workgroupBarrier();
    }
    for (var part = 0u; part < TILE / 16u; part++) {
        share(place, part);
        workgroupBarrier();
        for (var n = lane; n < 16u * INPUTS; n += 256u) {
            let i = first_input + n % INPUTS;
            let sample = first_sample + part * 16u + n / INPUTS;
            if i < params.inputs && sample < params.batch {
                let at = sample * params.inputs + i;
                out[at] = slope(n / INPUTS, n % INPUTS * SLOPES, x[at]);
            }
        }
        workgroupBarrier();
    }
}
