// coefficients[j,i,r] = Σ_c partial[c,i,r,j] for the functions r, and base[j,i] = the same for the row after them.
// One workgroup per tile of 32 × 32 of (i,r) and j, turned in shared memory so that reads and writes both run along rows.

//!include lib/index.wgsl
//!include lib/kan_turn.wgsl

struct Params { inputs: u32, outputs: u32, row_tiles: u32, parts: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read_write> base: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(row: u32, j: u32) -> f32 {
    let rows = params.inputs * ROWS;
    if row >= rows || j >= params.outputs { return 0.0; }
    var sum = partial[row * params.outputs + j];
    for (var c = 1u; c < params.parts; c++) { sum += partial[(c * rows + row) * params.outputs + j]; }
    return sum;
}

fn store(row: u32, j: u32, value: f32) {
    if row >= params.inputs * ROWS || j >= params.outputs { return; }
    let at = weight_of(row);
    if HAS_BASE && at.function == FUNCTIONS {
        base[j * params.inputs + at.input] = value;
    } else {
        coefficients[(j * params.inputs + at.input) * FUNCTIONS + at.function] = value;
    }
}

@compute @workgroup_size(SIDE, LINES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
    let tile = flat_group(group, groups);
    let row = tile % params.row_tiles * SIDE;
    let j = tile / params.row_tiles * SIDE;
    turn(
        lane.xy, load(row + lane.y, j + lane.x), load(row + lane.y + LINES, j + lane.x),
        load(row + lane.y + 2u * LINES, j + lane.x), load(row + lane.y + 3u * LINES, j + lane.x),
    );
    workgroupBarrier();
    for (var k = lane.y; k < SIDE; k += LINES) { store(row + lane.x, j + k, turned[lane.x][k]); }
}
