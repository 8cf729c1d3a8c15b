// Four neighbours of one row of `table` [in · rows, outputs] that begins at `start`, from output j on; past the row's end its last ones
// again. A load without a branch is not waited for until it is used. VECTOR: `start` and j are multiples of 4.
fn table_value(i: u32) -> f32 { return table[i / 4u][i % 4u]; }

fn table_four(start: u32, j: u32) -> vec4<f32> {
    let last = params.outputs - 1u;
    if VECTOR { return table[(start + min(j, last)) / 4u]; }
    return vec4<f32>(
        table_value(start + min(j, last)), table_value(start + min(j + 1u, last)),
        table_value(start + min(j + 2u, last)), table_value(start + min(j + 3u, last)),
    );
}
