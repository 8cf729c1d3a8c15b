// out[b, j, i] = x[b, i, j]: the last two axes change places; elements of 32 bits of any kind.
// One workgroup per tile of 32 x 32, which it turns in shared memory so that reads and writes both run along rows.

const TILE: u32 = 32u;
const ROWS: u32 = 8u;
//!include lib/index.wgsl

struct Params { rows: u32, cols: u32, tiles: u32, tiles_down: u32, tiles_across: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tile: array<array<u32, 33>, 32>;  // one column more, so that a column lies in 32 different banks

@compute @workgroup_size(TILE, ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
    let t = flat_group(group, groups);
    if t >= params.tiles { return; }
    let across = t % params.tiles_across;
    let down = (t / params.tiles_across) % params.tiles_down;
    let base = (t / (params.tiles_across * params.tiles_down)) * params.rows * params.cols;
    let col = across * TILE + lane.x;
    for (var k = lane.y; k < TILE; k += ROWS) {
        let row = down * TILE + k;
        if row < params.rows && col < params.cols { tile[k][lane.x] = x[base + row * params.cols + col]; }
    }
    workgroupBarrier();
    let out_col = down * TILE + lane.x;
    for (var k = lane.y; k < TILE; k += ROWS) {
        let out_row = across * TILE + k;
        if out_row < params.cols && out_col < params.rows { out[base + out_row * params.rows + out_col] = tile[lane.x][k]; }
    }
}
