// COLS neighbouring columns of [outer, reduced, inner] for a workgroup, whose WORKGROUP / COLS rows of lanes stride down them.
// The including file has the override WORKGROUP and Params { inner, reduced, tiles, total }, tiles = ⌈inner / COLS⌉ for each outer.
override COLS: u32 = 32;

var<private> tile_here: bool;   // the lane's column exists
var<private> tile_first: u32;   // its first element

fn take_tile(tile: u32, lane: u32) {
    let column = tile % params.tiles * COLS + lane % COLS;
    tile_here = tile < params.total && column < params.inner;
    tile_first = tile / params.tiles * params.reduced * params.inner + column;
}

// The rows that are the lane's: none where it has no column.
fn tile_rows() -> u32 { return select(0u, params.reduced, tile_here); }
