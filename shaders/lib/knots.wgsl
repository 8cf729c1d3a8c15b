// B-splines of degree DEGREE (an override of the including file, 1 to 6) on the rows of `knots`, each of basis + DEGREE + 1
// knots that do not decrease, by Cox and de Boor. A difference of f32 knots is exact or off by one rounding, so all
// that is computed from them keeps its digits, however uneven they are.

const NARROW: f32 = 1e-6;  // cells no wider hold no points, and a denominator no larger gives 0

struct Place {
    row: u32,      // where the input's knots begin
    span: u32,     // the knot at which the point's cell begins, counted from there
    z: f32,        // the point, inside the cell; NaN for NaN
    inside: bool,  // of the grid, ends included; NaN counts as inside, so that it shows in derivatives
}

fn width_of(at: u32) -> f32 { return knots[at + 1u] - knots[at]; }

fn place_of(x: f32, input: u32, basis: u32) -> Place {
    let row = input * (basis + DEGREE + 1u);
    if is_nan(x) { return Place(row, DEGREE, x, true); }
    let low = knots[row + DEGREE];
    let high = knots[row + basis];
    let z = clamp(x, low, high);
    // The last cell that begins at or before z, by halving; at most 128 cells.
    var span = DEGREE;
    var end = basis;
    for (var round = 0u; round < 8u; round++) {
        let middle = (span + end) / 2u;
        let begun = middle > span && knots[row + middle] <= z;
        end = select(middle, end, begun || middle == span);
        span = select(span, middle, begun);
    }
    // Out of a cell too narrow: to the left, and from the low end to the right.
    for (var s = span; s > DEGREE && width_of(row + span) <= NARROW; s--) { span--; }
    for (var s = span; s + 1u < basis && width_of(row + span) <= NARROW; s++) { span++; }
    return Place(row, span, clamp(z, knots[row + span], knots[row + span + 1u]), x >= low && x <= high);
}

// The order-th derivatives of the DEGREE + 1 functions that are not zero in the place's cell; the first is span - DEGREE.
fn knot_values(place: Place, order: u32) -> array<f32, 7> {
    var b = array<f32, 7>(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let z = place.z;
    if is_nan(z) { return array<f32, 7>(z, z, z, z, z, z, z); }
    if order > DEGREE || (order > 0u && !place.inside) { b[0] = 0.0; }
    let after = place.row + place.span + 1u;
    for (var j = 1u; j <= DEGREE; j++) {
        var before = 0.0;
        for (var r = 0u; r < j; r++) {
            let left = knots[after + r - j];
            let right = knots[after + r];
            let share = select(0.0, b[r] / (right - left), right - left > NARROW);
            if j + order <= DEGREE {
                b[r] = before + (right - z) * share;
                before = (z - left) * share;
            } else {  // the derivative of B(k) of degree j: j times the difference of two neighbours' shares
                b[r] = f32(j) * (before - share);
                before = share;
            }
        }
        b[j] = select(f32(j) * before, before, j + order <= DEGREE);
    }
    return b;
}
