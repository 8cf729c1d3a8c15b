// Reads rows of lib/row.wgsl from `x: array<vec4<f32>>`, through the tile where short rows are staged.
fn read_x(k: u32) -> vec4<f32> {
    if STAGED == 1u { return staged(k); }
    return x[quad(k)];
}

// Fills the tile with the rows of the workgroup whose first row this is; every lane must call.
fn stage_x(first_row: u32, index: u32, rows: u32) {
    if STAGED == 0u { return; }
    let count = tile_count(first_row, rows);
    for (var i = 4u * index; i < count; i += 4u * WORKGROUP) { stage(i, x[(first_row * COLS + i) / 4u]); }
    workgroupBarrier();
}
