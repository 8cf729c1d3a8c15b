// A point of a layer with at most eight functions per input, of degree 3 or lower: its cell and the values there, and the SiLU.
override BASE: bool = false;
override FUNCTIONS: u32 = 8;  // B-splines per input, up to 8; a row of the table each, and one for the base
override ROWS: u32 = 8;       // FUNCTIONS, and one more with BASE

struct Point { values: vec4<f32>, cell: u32, base: f32 }

fn point_of(at: f32) -> Point {
    let cell = cell_of(at, params.grid, params.knots);
    let b = spline_values(cell, 0u, params.grid.z, 1.0);
    var v = vec4<f32>(b[0], b[1], 0.0, 0.0);
    if DEGREE > 1u { v.z = b[2]; }
    if DEGREE > 2u { v.w = b[3]; }
    let e = exp(-abs(at));
    return Point(v, cell.first, at * (select(1.0, e, at < 0.0) / (1.0 + e)));
}
