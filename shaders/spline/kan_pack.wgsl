// out[i,r,j] = coefficients[j,i,r] for the functions r, and base[j,i] in the row after them.
// One workgroup per tile of 32 × 32 of (i,r) and j, turned in shared memory so that reads and writes both run along rows.

//!include lib/index.wgsl
//!include lib/kan_turn.wgsl

struct Params { inputs: u32, outputs: u32, row_tiles: u32 }

@group(0) @binding(0) var<storage, read> coefficients: array<f32>;
@group(0) @binding(1) var<storage, read> base: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(row: u32, j: u32) -> f32 {
    if row >= params.inputs * ROWS || j >= params.outputs { return 0.0; }
    let at = weight_of(row);
    if HAS_BASE && at.function == FUNCTIONS { return base[j * params.inputs + at.input]; }
    return coefficients[(j * params.inputs + at.input) * FUNCTIONS + at.function];
}

fn store(row: u32, j: u32, value: f32) {
    if row < params.inputs * ROWS && j < params.outputs { out[row * params.outputs + j] = value; }
}

@compute @workgroup_size(SIDE, LINES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
    let tile = flat_group(group, groups);
    let row = tile % params.row_tiles * SIDE;
    let j = tile / params.row_tiles * SIDE;
    turn(
        lane.xy, load(row + lane.x, j + lane.y), load(row + lane.x, j + lane.y + LINES),
        load(row + lane.x, j + lane.y + 2u * LINES), load(row + lane.x, j + lane.y + 3u * LINES),
    );
    workgroupBarrier();
    for (var k = lane.y; k < SIDE; k += LINES) { store(row + k, j + lane.x, turned[lane.x][k]); }
}
