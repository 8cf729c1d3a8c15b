// A span of neighbouring elements, a row or a part of one, as vec4s, SEGMENT lanes wide; k counts the vec4s that cover it.
// The including file has the override WORKGROUP. Where spans start anywhere, the first and last vec4 hold elements of the
// neighbours too: see `inside`.
override SEGMENT: u32 = 32;
override ALIGNED: u32 = 0;  // 1: every row starts and ends at a multiple of four elements
override STAGED: u32 = 0;   // 1: short rows, one lane each, pass through a tile in shared memory
override COLS: u32 = 1;     // with STAGED: the columns, known when the shader is compiled
override TILE: u32 = 1;     // elements of the tile: rows per workgroup · COLS
var<workgroup> tile: array<f32, TILE>;

var<private> row_first: u32;  // the row's first element in memory
var<private> row_cols: u32;   // 0 for a row behind the last
var<private> row_shift: u32;  // elements of the first vec4 that lie before the row
var<private> row_quads: u32;
var<private> row_at: u32;     // the lane's first vec4
var<private> row_tile: u32;   // the row's first element in the tile

fn take_row(first_row: u32, index: u32, rows: u32, cols: u32) {
    let row = first_row + index / SEGMENT;
    take_span(row * cols, select(0u, cols, row < rows), index % SEGMENT);
    row_tile = index / SEGMENT * COLS;
}

// The same for `count` elements from element `first` on.
fn take_span(first: u32, count: u32, at: u32) {
    row_first = first;
    row_cols = count;
    row_shift = select(first % 4u, 0u, ALIGNED == 1u || STAGED == 1u);
    row_quads = (row_shift + count + 3u) / 4u;
    row_at = at;
}

// The place of the row's k-th vec4 in memory; behind the last one it is the last one's, so that loads need no branch.
fn quad(k: u32) -> u32 { return row_first / 4u + min(k, max(row_quads, 1u) - 1u); }

// The column of its first element; before the row it wraps round to a large number.
fn column(k: u32) -> u32 { return 4u * k - row_shift; }

// Which of its elements belong to the row.
fn inside(k: u32) -> vec4<bool> {
    if ALIGNED == 1u { return vec4(k < row_quads); }
    let columns = vec4(column(k)) + vec4(0u, 1u, 2u, 3u);
    return columns < vec4(select(row_cols, COLS, STAGED == 1u));  // what a staged row behind the last one gives is never written
}

// The row's k-th vec4 in the tile.
fn staged(k: u32) -> vec4<f32> {
    let i = row_tile + 4u * k;
    return vec4(tile[i], tile[i + 1u], tile[i + 2u], tile[i + 3u]);
}

// Puts four elements of the workgroup's rows into the tile, as far as it goes.
fn stage(i: u32, v: vec4<f32>) {
    tile[i] = v.x;
    tile[i + 1u] = v.y;
    tile[i + 2u] = v.z;
    tile[i + 3u] = v.w;
}

// How many elements the workgroup's rows have.
fn tile_count(first_row: u32, rows: u32) -> u32 { return min(WORKGROUP / SEGMENT, rows - min(rows, first_row)) * COLS; }
