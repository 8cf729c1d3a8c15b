// Which tile of which matrix of the batch a workgroup computes; reads batch, strides, rows and cols of `params`.
struct Tile {
    row: u32, col: u32,         // its upper left element
    a: u32, b: u32, out: u32,   // where its matrices start, in elements
    inside: bool,               // false in the overhang of a folded grid
}

const BAND = 8u;

// Tiles of one matrix.
fn tile_count(tile_rows: u32, tile_cols: u32) -> u32 {
    return (params.rows + tile_rows - 1u) / tile_rows * ((params.cols + tile_cols - 1u) / tile_cols);
}

// Tiles go down bands of 8 tile rows, column by column, so that neighbours in time share both operands in the cache.
fn locate(number: u32, tile_rows: u32, tile_cols: u32) -> Tile {
    let down = (params.rows + tile_rows - 1u) / tile_rows;
    let across = (params.cols + tile_cols - 1u) / tile_cols;
    let matrix = number / (down * across);
    let t = number - matrix * (down * across);
    let band = t / (BAND * across);
    let height = min(BAND, down - band * BAND);
    let in_band = t - band * BAND * across;
    let i3 = matrix % params.batch.w;
    let i2 = matrix / params.batch.w % params.batch.z;
    let i1 = matrix / (params.batch.w * params.batch.z) % params.batch.y;
    let i0 = matrix / (params.batch.w * params.batch.z * params.batch.y);
    let index = vec4<u32>(i0, i1, i2, i3);
    return Tile(
        (band * BAND + in_band % height) * tile_rows, in_band / height * tile_cols,
        dot(index, params.a_strides), dot(index, params.b_strides), matrix * params.rows * params.cols,
        i0 < params.batch.x,
    );
}
