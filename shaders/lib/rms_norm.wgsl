// RMS normalisation of a row of lib/row.wgsl. The including file has `load` (0 outside the row), weight, HAS_WEIGHT and Params.
//!include lib/float.wgsl
//!include lib/squares.wgsl
//!include lib/reduce_segments.wgsl

alias Cell = vec4<f32>;
alias Item = vec2<f32>;

const SQUARES = 0u;
const RESULT = 1u;

var<private> recent: Item;
var<private> sums: Item;
var<private> scale: f32;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    if task == SQUARES {
        recent += squares4(cell);
    } else {
        var y = cell * scale;
        if HAS_WEIGHT == 1u { y *= weight_at(k); }
        put(k, y);
    }
    return cell;
}

fn settle() {
    sums += recent;
    recent = Item(0.0, 0.0);
}

// Writes the row's result and leaves 1 / √(mean(x²) + eps) in `scale`.
fn normalize(lane: Lane) {
    fill();
    sweep(SQUARES);
    scale = inverse_root(segment_reduce(lane, sums), f32(params.cols), params.eps);
    sweep(RESULT);
}
