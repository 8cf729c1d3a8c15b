// out[i,r,j] = coefficients[j,i,r] for the functions r, and base[j,i] in the row after them.
// One workgroup per 16 × 16 tile of (i,r) and j, exchanged in shared memory so that reads and writes both run along rows.

override HAS_BASE: bool = false;
const SIDE = 16u;
//!include lib/index.wgsl

struct Params { inputs: u32, functions: u32, outputs: u32, row_tiles: u32 }

@group(0) @binding(0) var<storage, read> coefficients: array<f32>;
@group(0) @binding(1) var<storage, read> base: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> exchanged: array<f32, 272>;  // SIDE rows of SIDE + 1, so that a column meets every bank

fn value(row: u32, j: u32) -> f32 {
    if !HAS_BASE { return coefficients[j * params.inputs * params.functions + row]; }
    let i = row / (params.functions + 1u);
    let r = row % (params.functions + 1u);
    if r == params.functions { return base[j * params.inputs + i]; }
    return coefficients[(j * params.inputs + i) * params.functions + r];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_row = tile % params.row_tiles * SIDE;
    let first_output = tile / params.row_tiles * SIDE;
    let rows = params.inputs * (params.functions + u32(HAS_BASE));
    let y = lane / SIDE;
    let x = lane % SIDE;
    if first_row + x < rows && first_output + y < params.outputs {
        exchanged[y * (SIDE + 1u) + x] = value(first_row + x, first_output + y);
    }
    workgroupBarrier();
    if first_row + y < rows && first_output + x < params.outputs {
        out[(first_row + y) * params.outputs + first_output + x] = exchanged[x * (SIDE + 1u) + y];
    }
}
