// Σ e^(x - m) of a row of lib/row.wgsl, m its maximum. The including file has the override LOG, `load` (-∞ for what takes no part)
// and `result(k, cell)`, what is written.
//!include lib/float.wgsl
//!include lib/reduce_segments.wgsl

alias Cell = vec4<f32>;
alias Item = vec2<f32>;  // (the greatest value, Σ e^(x - the greatest))

const LEAST = -0x1.fffffep127f;  // where all are -∞ no difference is NaN, and the sum is 0
const GREATEST = 0u;
const POWERS = 1u;
const BOTH = 2u;
const RESULT = 3u;

var<private> top: f32 = LEAST;
var<private> recent: f32;
var<private> total: f32;
var<private> factor: f32;  // what makes shares of the cells: of their powers, where the row is in registers

fn greatest(v: vec4<f32>) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

fn combine(a: Item, b: Item) -> Item {
    let m = max(a.x, b.x);
    return Item(m, a.y * exp(a.x - m) + b.y * exp(b.x - m));
}

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    switch task {
        case GREATEST: { top = max(top, greatest(cell)); }
        case POWERS: {
            let powers = exp(cell - top);
            recent += (powers.x + powers.y) + (powers.z + powers.w);
            if LOG == 0u { return powers; }
        }
        case BOTH: {
            let above = max(top, greatest(cell));
            let powers = exp(cell - above);
            if above > top {
                total *= exp(top - above);
                recent *= exp(top - above);
                top = above;
            }
            recent += (powers.x + powers.y) + (powers.z + powers.w);
        }
        default: { put(k, result(k, cell)); }
    }
    return cell;
}

fn settle() {
    total += recent;
    recent = 0.0;
}

// The element's share of the total, e^(x - m) / Σ e^(x - m).
fn share(cell: Cell) -> vec4<f32> {
    if PER > 0u { return cell * factor; }
    return exp(cell - top) * factor;
}

// Leaves m in `top` and the sum in `total`, NaN where it has none, and writes the results.
fn softmax_row(lane: Lane) {
    fill();
    if PER > 0u {
        sweep(GREATEST);
        sweep(POWERS);
    } else {
        sweep(BOTH);
    }
    let both = segment_reduce(lane, Item(top, total));
    total = select(both.y, nan(), both.y == 0.0 || is_inf(both.x));  // nothing but -∞, or ∞ - ∞
    factor = select(exp(top - both.x), 1.0, PER == 0u) / total;
    top = both.x;
    sweep(RESULT);
}
