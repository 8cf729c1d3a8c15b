// What one input of a KAN layer gives to its products: its functions, with BASE the SiLU last, into `put(row, column, value)`.
override BASE: bool = false;
override FUNCTIONS: u32 = 8;  // B-splines per input; a row of the table each, and one for the base
override ROWS: u32 = 8;       // FUNCTIONS, and one more with BASE

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// The four cubic functions in a cell, by the recursion of lib/spline.wgsl.
fn cubic_values(t: f32) -> vec4<f32> {
    let u = 1.0 - t;
    let s0 = u * u * (1.0 / 6.0);
    let s1 = fma(t + 1.0, u, (2.0 - t) * t) * (1.0 / 6.0);
    let s2 = t * t * (1.0 / 6.0);
    return vec4<f32>(u * s0, fma(t + 2.0, s0, (2.0 - t) * s1), fma(t + 1.0, s1, (3.0 - t) * s2), t * s2);
}

// What a point puts in the place of the functions that vanish there: nothing, but a NaN goes everywhere.
fn elsewhere(x: f32) -> f32 {
    return select(0.0, x, is_nan(x));
}

// turn: with which function to begin, so that neighbours do not store to one bank of shared memory at a time.
fn put_functions(row: u32, column: u32, x: f32, turn: u32) {
    let cell = cell_of(x, params.grid, params.knots);
    let nothing = elsewhere(x);
    for (var k = 0u; k < FUNCTIONS; k++) { put(row + (k + turn) % FUNCTIONS, column, nothing); }
    if DEGREE == 3u {
        let v = cubic_values(cell.t);
        put(row + cell.first, column, v.x);
        put(row + cell.first + 1u, column, v.y);
        put(row + cell.first + 2u, column, v.z);
        put(row + cell.first + 3u, column, v.w);
    } else {
        let v = spline_values(cell, 0u, params.grid.z, 1.0);
        for (var r = 0u; r <= DEGREE; r++) { put(row + cell.first + r, column, v[r]); }
    }
    if BASE { put(row + FUNCTIONS, column, x * sigmoid(x)); }
}

fn put_nothing(row: u32, column: u32) {
    for (var k = 0u; k < ROWS; k++) { put(row + k, column, 0.0); }
}
