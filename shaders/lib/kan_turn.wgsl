// Between the weights of edges, [out, in, functions] with the bases beside them, and the table [in, rows, out] of a KAN layer.
const SIDE = 32u;  // of a tile
const LINES = 8u;  // of it at a time
override ROWS: u32 = FUNCTIONS + u32(HAS_BASE);

var<workgroup> turned: array<array<f32, 33>, 32>;  // one more, so that a column meets every bank

struct Weight { input: u32, function: u32 }

// Which weight of an edge a row of the table is; FUNCTIONS: the base.
fn weight_of(row: u32) -> Weight {
    let input = row / ROWS;
    return Weight(input, row - input * ROWS);
}
