// Between the weights of edges, [out, in, functions] with the bases beside them, and the table [in, rows, out] of a KAN layer.
override FUNCTIONS: u32 = 8;
override HAS_BASE: bool = false;
const SIDE = 32u;  // of a tile
const LINES = 8u;  // of it at a time
override ROWS: u32 = FUNCTIONS + u32(HAS_BASE);

var<workgroup> turned: array<array<f32, SIDE + 1u>, SIDE>;  // one more, so that a column meets every bank

// What an invocation has loaded of the lines that it is at: all of it before the first store, since what is under way at once hides
// the latency.
fn turn(lane: vec2<u32>, a: f32, b: f32, c: f32, d: f32) {
    turned[lane.y][lane.x] = a;
    turned[lane.y + LINES][lane.x] = b;
    turned[lane.y + 2u * LINES][lane.x] = c;
    turned[lane.y + 3u * LINES][lane.x] = d;
}

struct Weight { input: u32, function: u32 }

// Which weight of an edge a row of the table is; FUNCTIONS: the base.
fn weight_of(row: u32) -> Weight {
    let input = row / ROWS;
    return Weight(input, row - input * ROWS);
}
