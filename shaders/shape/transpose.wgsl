// out[.., j, .., i] = x[.., i, .., j]: axes in another order, another one last; elements of 32 bits of any kind.
// One workgroup per tile of 32 x 32 of both last axes, turned in shared memory so that reads and writes run along rows.
//
// A row of a tile is along x's last axis, a column along the result's; up to four other axes are decoded per tile.

const TILE: u32 = 32u;
const ROWS: u32 = 8u;
override OTHERS: u32 = 4;     // axes beside these two
override FOLDED: u32 = 1;     // 0: the grid is (tiles across, tiles down, tiles of the other axes)
//!include lib/index.wgsl

struct Params {
    others: vec4<u32>, x_steps: vec4<u32>, out_steps: vec4<u32>,
    rows: u32, cols: u32, x_step: u32, out_step: u32,
    tiles: u32, tiles_down: u32, tiles_across: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tile: array<array<u32, 33>, 32>;  // one column more, so that a column lies in 32 different banks

fn load(base: u32, row: u32, col: u32) -> u32 {
    if row < params.rows && col < params.cols { return x[base + row * params.x_step + col]; }
    return 0u;
}

fn store(base: u32, row: u32, col: u32, value: u32) {
    if row < params.rows && col < params.cols { out[base + col * params.out_step + row] = value; }
}

// The place on the other axes: divisions are dear, and most permutations have one other axis or none.
fn others(i: u32) -> vec4<u32> {
    if OTHERS <= 1u { return vec4<u32>(0u, 0u, 0u, i); }
    let n = params.others;
    let z = i / n.w;
    if OTHERS == 2u { return vec4<u32>(0u, 0u, z, i - z * n.w); }
    return vec4<u32>(z / (n.z * n.y), (z / n.z) % n.y, z % n.z, i - z * n.w);
}

@compute @workgroup_size(TILE, ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
    var place = group;
    if FOLDED == 1u {
        let t = flat_group(group, groups);
        if t >= params.tiles { return; }
        let rest = t / params.tiles_across;
        place = vec3<u32>(t - rest * params.tiles_across, rest % params.tiles_down, rest / params.tiles_down);
    }
    let left = place.x * TILE;
    let top = place.y * TILE;
    let at = others(place.z);
    let from_base = dot(at, params.x_steps);
    let to_base = dot(at, params.out_steps);
    // All loads before the first use: what is under way at once hides the latency.
    let a = load(from_base, top + lane.y, left + lane.x);
    let b = load(from_base, top + lane.y + ROWS, left + lane.x);
    let c = load(from_base, top + lane.y + 2u * ROWS, left + lane.x);
    let d = load(from_base, top + lane.y + 3u * ROWS, left + lane.x);
    tile[lane.y][lane.x] = a;
    tile[lane.y + ROWS][lane.x] = b;
    tile[lane.y + 2u * ROWS][lane.x] = c;
    tile[lane.y + 3u * ROWS][lane.x] = d;
    workgroupBarrier();
    for (var k = lane.y; k < TILE; k += ROWS) { store(to_base, top + lane.x, left + k, tile[lane.x][k]); }
}
