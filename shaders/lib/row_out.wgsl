// Writes rows of lib/row.wgsl to `out: array<vec4<f32>>`, through the tile where short rows are staged.
fn put(k: u32, v: vec4<f32>) {
    let mine = inside(k);
    if STAGED == 1u {
        let i = row_tile + 4u * k;
        if mine.x { tile[i] = v.x; }
        if mine.y { tile[i + 1u] = v.y; }
        if mine.z { tile[i + 2u] = v.z; }
        if mine.w { tile[i + 3u] = v.w; }
        return;
    }
    let q = quad(k);
    if all(mine) {
        out[q] = v;
    } else if ALIGNED == 0u {
        if mine.x { out[q].x = v.x; }
        if mine.y { out[q].y = v.y; }
        if mine.z { out[q].z = v.z; }
        if mine.w { out[q].w = v.w; }
    }
}

// Writes the tile of the workgroup whose first row this is; every lane must call.
fn put_tile(first_row: u32, index: u32, rows: u32) {
    if STAGED == 0u { return; }
    workgroupBarrier();
    let count = tile_count(first_row, rows);
    let first = first_row * COLS;
    for (var i = 4u * index; i < count; i += 4u * WORKGROUP) {
        let v = vec4(tile[i], tile[i + 1u], tile[i + 2u], tile[i + 3u]);
        let q = (first + i) / 4u;
        if i + 4u <= count {
            out[q] = v;
        } else {
            out[q].x = v.x;
            if i + 1u < count { out[q].y = v.y; }
            if i + 2u < count { out[q].z = v.z; }
        }
    }
}
