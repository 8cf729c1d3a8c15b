// Stores the sums of lib/kan_tile.wgsl into rows × columns of `out` from `start`; needs `finish(value, column)` of the including file.
override VECTOR: bool = false;  // columns is a multiple of 4 and so is start

fn store_one(at: u32, value: f32) { out[at / 4u][at % 4u] = value; }

fn store_row(start: u32, r: u32, c: u32, rows: u32, columns: u32, sums: vec4<f32>) {
    if r >= rows || c >= columns { return; }
    let at = start + r * columns + c;
    let values = finish(sums, c);
    if VECTOR {
        out[at / 4u] = values;
        return;
    }
    store_one(at, values.x);
    if c + 1u < columns { store_one(at + 1u, values.y); }
    if c + 2u < columns { store_one(at + 2u, values.z); }
    if c + 3u < columns { store_one(at + 3u, values.w); }
}

fn store_block(start: u32, r: u32, c: u32, rows: u32, columns: u32, sums: mat4x4<f32>) {
    store_row(start, r, c, rows, columns, sums[0]);
    store_row(start, r + 1u, c, rows, columns, sums[1]);
    store_row(start, r + 2u, c, rows, columns, sums[2]);
    store_row(start, r + 3u, c, rows, columns, sums[3]);
}

// first: the tile's first row and column; limit: the rows and columns there are.
fn store_tile(start: u32, first: vec2<u32>, place: vec2<u32>, limit: vec2<u32>) {
    let at = first + 4u * place;
    store_block(start, at.x, at.y, limit.x, limit.y, c00);
    if WIDE {
        store_block(start, at.x, at.y + 16u, limit.x, limit.y, c01);
        store_block(start, at.x, at.y + 32u, limit.x, limit.y, c02);
        store_block(start, at.x, at.y + 48u, limit.x, limit.y, c03);
        store_block(start, at.x + 32u, at.y, limit.x, limit.y, c10);
        store_block(start, at.x + 32u, at.y + 16u, limit.x, limit.y, c11);
        store_block(start, at.x + 32u, at.y + 32u, limit.x, limit.y, c12);
        store_block(start, at.x + 32u, at.y + 48u, limit.x, limit.y, c13);
    }
}
