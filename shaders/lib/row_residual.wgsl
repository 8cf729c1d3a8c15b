// Reads rows of lib/row.wgsl as x + residual, which also goes to `sum` when it is first read.
fn sum_at(k: u32) -> vec4<f32> {
    if STAGED == 1u { return staged(k); }
    return x[quad(k)] + residual[quad(k)];
}

var<private> sum_written: u32;  // vec4s of the lane that are written

fn read_sum(k: u32) -> vec4<f32> {
    let v = sum_at(k);
    if STAGED == 1u || k < sum_written { return v; }
    sum_written = k + 1u;
    let mine = inside(k);
    let q = quad(k);
    if all(mine) {
        sum[q] = v;
    } else if ALIGNED == 0u {
        if mine.x { sum[q].x = v.x; }
        if mine.y { sum[q].y = v.y; }
        if mine.z { sum[q].z = v.z; }
        if mine.w { sum[q].w = v.w; }
    }
    return v;
}

// Fills the tile with the rows of the workgroup whose first row this is; every lane must call.
fn stage_sum(first_row: u32, index: u32, rows: u32) {
    if STAGED == 0u { return; }
    let count = tile_count(first_row, rows);
    for (var i = 4u * index; i < count; i += 4u * WORKGROUP) {
        let q = (first_row * COLS + i) / 4u;
        let v = x[q] + residual[q];
        stage(i, v);
        if i + 4u <= count {
            sum[q] = v;
        } else {
            sum[q].x = v.x;
            if i + 1u < count { sum[q].y = v.y; }
            if i + 2u < count { sum[q].z = v.z; }
        }
    }
    workgroupBarrier();
}
