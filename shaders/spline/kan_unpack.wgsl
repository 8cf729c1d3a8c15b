// coefficients[j,i,r] = Σ_c partial[c,i,r,j] for the functions r, and base[j,i] = the same for the row after them.
// One workgroup per 16 × 16 tile of (i,r) and j, exchanged in shared memory so that reads and writes both run along rows.

override HAS_BASE: bool = false;
const SIDE = 16u;
//!include lib/index.wgsl

struct Params { inputs: u32, functions: u32, outputs: u32, row_tiles: u32, parts: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read_write> base: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> exchanged: array<f32, 272>;  // SIDE rows of SIDE + 1, so that a column meets every bank

fn store(row: u32, j: u32, value: f32) {
    if !HAS_BASE {
        coefficients[j * params.inputs * params.functions + row] = value;
        return;
    }
    let i = row / (params.functions + 1u);
    let r = row % (params.functions + 1u);
    if r == params.functions {
        base[j * params.inputs + i] = value;
    } else {
        coefficients[(j * params.inputs + i) * params.functions + r] = value;
    }
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
    if first_row + y < rows && first_output + x < params.outputs {
        var sum = 0.0;
        for (var c = 0u; c < params.parts; c++) { sum += partial[(c * rows + first_row + y) * params.outputs + first_output + x]; }
        exchanged[y * (SIDE + 1u) + x] = sum;
    }
    workgroupBarrier();
    if first_row + x < rows && first_output + y < params.outputs {
        store(first_row + x, first_output + y, exchanged[x * (SIDE + 1u) + y]);
    }
}
