// Layer normalisation of a row of lib/row.wgsl. The including file has `load`, which gives the values relative to the row's
// first, so that a mean far from zero costs no digits; weight, bias, HAS_WEIGHT, HAS_BIAS and Params.
//!include lib/float.wgsl
//!include lib/squares.wgsl
//!include lib/reduce_segments.wgsl

alias Cell = vec4<f32>;
alias Item = vec2<f32>;

const SUM = 0u;
const SQUARES = 1u;
const RESULT = 2u;

var<private> recent: Item;
var<private> sums: Item;
var<private> mean: f32;   // relative to the row's first element
var<private> scale: f32;

fn combine(a: Item, b: Item) -> Item { return a + b; }

fn visit(task: u32, k: u32, cell: Cell) -> Cell {
    switch task {
        case SUM: {
            let v = select(vec4(0.0), cell, inside(k));
            recent.x += (v.x + v.y) + (v.z + v.w);
        }
        case SQUARES: { recent += squares4(select(vec4(0.0), cell - mean, inside(k))); }
        default: {
            var y = (cell - mean) * scale;
            if HAS_WEIGHT == 1u { y *= weight_at(k); }
            if HAS_BIAS == 1u { y += bias_at(k); }
            put(k, y);
        }
    }
    return cell;
}

fn settle() {
    sums += recent;
    recent = Item(0.0, 0.0);
}

// Writes the row's result and leaves μ - the first element in `mean` and 1 / √(σ² + eps) in `scale`.
fn normalize(lane: Lane) {
    fill();
    sweep(SUM);
    mean = segment_reduce(lane, sums).x / f32(params.cols);
    sums = Item(0.0, 0.0);
    sweep(SQUARES);
    scale = inverse_root(segment_reduce(lane, sums), f32(params.cols), params.eps);
    sweep(RESULT);
}
