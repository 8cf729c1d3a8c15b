// out[j,i,k] = Σ_c partial[c,i,k,j].
// One workgroup per 16 × 16 tile of (i,k) and j, exchanged in shared memory so that reads and writes both run along rows.

const SIDE = 16u;
//!include lib/index.wgsl

struct Params { rows: u32, outputs: u32, splits: u32, row_tiles: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tile_sums: array<f32, 272>;  // SIDE rows of SIDE + 1, so that a column meets every bank

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let first_row = tile % params.row_tiles * SIDE;
    let first_output = tile / params.row_tiles * SIDE;
    let y = lane / SIDE;
    let x = lane % SIDE;
    var sum = 0.0;
    if first_row + y < params.rows && first_output + x < params.outputs {
        for (var c = 0u; c < params.splits; c++) {
            sum += partial[(c * params.rows + first_row + y) * params.outputs + first_output + x];
        }
    }
    tile_sums[y * (SIDE + 1u) + x] = sum;
    workgroupBarrier();
    if first_row + x < params.rows && first_output + y < params.outputs {
        out[(first_output + y) * params.rows + first_row + x] = tile_sums[x * (SIDE + 1u) + y];
    }
}
