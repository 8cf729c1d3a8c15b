// Uniform B-splines of degree DEGREE (an override of the including file, 1 to 6) by Cox and de Boor, in units of a cell.
// grid: low end, high end, cells per unit, number of cells. knots: the low end and the cell width, each as a part whose
// multiples up to the number of cells are exact in f32, and the rest. The distance to a knot loses nothing that way.

struct Cell {
    first: u32,    // the first of the DEGREE + 1 basis functions that are not zero here
    t: f32,        // the place in the cell, 0 to 1; NaN for NaN
    inside: bool,  // of the grid, ends included; NaN counts as inside, so that it shows in derivatives
}

fn place_in(s: f32, z: f32, grid: vec4<f32>, knots: vec4<f32>) -> f32 {
    return ((z - fma(s, knots.z, knots.x)) - fma(s, knots.w, knots.y)) * grid.z;
}

fn cell_of(x: f32, grid: vec4<f32>, knots: vec4<f32>) -> Cell {
    if is_nan(x) { return Cell(0u, x, true); }
    let z = clamp(x, grid.x, grid.y);
    var s = clamp(floor((z - grid.x) * grid.z), 0.0, grid.w - 1.0);
    // That floor is of a rounded number; the exact place decides, with a knot taken 1e-6 of a cell early.
    let near = place_in(s, z, grid, knots) + 1e-6;
    s = clamp(select(select(s, s - 1.0, near < 0.0), s + 1.0, near >= 1.0), 0.0, grid.w - 1.0);
    // Outside, the place is the end itself, which the range's float32 value may miss.
    let t = select(select(clamp(place_in(s, z, grid, knots), 0.0, 1.0), 0.0, x < grid.x), 1.0, x > grid.y);
    return Cell(u32(s), t, x >= grid.x && x <= grid.y);
}

// factor times the order-th derivatives, in units of x, of the DEGREE + 1 functions in a cell. NaN gives NaNs; derivatives
// vanish outside the grid, since x is clamped to it.
fn spline_values(cell: Cell, order: u32, cells_per_unit: f32, factor: f32) -> array<f32, 7> {
    var b = array<f32, 7>(factor, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    if is_nan(cell.t) { return array<f32, 7>(cell.t, cell.t, cell.t, cell.t, cell.t, cell.t, cell.t); }
    if order > DEGREE || (order > 0u && !cell.inside) { b[0] = 0.0; }
    for (var j = 1u; j + order <= DEGREE; j++) {
        var saved = 0.0;
        for (var r = 0u; r < j; r++) {
            let share = b[r] / f32(j);  // knots j apart
            b[r] = saved + (f32(r + 1u) - cell.t) * share;
            saved = (cell.t + f32(j - 1u - r)) * share;
        }
        b[j] = saved;
    }
    // The derivative of B(k) of degree d is B(k) - B(k + 1) of degree d - 1, per cell.
    for (var j = DEGREE - min(order, DEGREE) + 1u; j <= DEGREE; j++) {
        var before = 0.0;
        for (var r = 0u; r <= j; r++) {
            let here = b[r];
            b[r] = (before - here) * cells_per_unit;
            before = here;
        }
    }
    return b;
}
