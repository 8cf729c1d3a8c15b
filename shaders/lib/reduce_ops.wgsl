// The reductions by number: 0 sum, 1 sum of squares, 2 max, 3 min, 4 logsumexp (an item is the maximum m and Σ e^(x - m)).
// The including file has `override OP: u32` and includes lib/float.wgsl.
alias Item = vec2<f32>;

fn identity() -> Item {
    switch OP {
        case 2u, 4u: { return Item(-infinity(), 0.0); }
        case 3u: { return Item(infinity(), 0.0); }
        default: { return Item(0.0, 0.0); }
    }
}

fn greater_of(a: f32, b: f32) -> f32 { return select(max(a, b), nan(), is_nan(a) || is_nan(b)); }
fn lesser_of(a: f32, b: f32) -> f32 { return select(min(a, b), nan(), is_nan(a) || is_nan(b)); }

// e^(x - m) where x = m may be infinite: their difference is 0 there, not NaN.
fn exp_below(x: f32, m: f32) -> f32 { return select(exp(x - m), 1.0, x == m); }

fn combine(a: Item, b: Item) -> Item {
    switch OP {
        case 2u: { return Item(greater_of(a.x, b.x), 0.0); }
        case 3u: { return Item(lesser_of(a.x, b.x), 0.0); }
        case 4u: {
            let m = max(a.x, b.x);
            return Item(m, a.y * exp_below(a.x, m) + b.y * exp_below(b.x, m));
        }
        default: { return Item(a.x + b.x, 0.0); }
    }
}

// The item of a and one more value; a NaN is never greater, so logsumexp keeps it in its sum.
fn accumulate(a: Item, v: f32) -> Item {
    switch OP {
        case 1u: { return Item(a.x + v * v, 0.0); }
        case 4u: {
            if v > a.x { return Item(v, a.y * exp_below(a.x, v) + 1.0); }
            return Item(a.x, a.y + exp_below(v, a.x));
        }
        default: { return combine(a, Item(v, 0.0)); }
    }
}

fn greatest(v: vec4<f32>) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

// v where a is not NaN, by the bits of all of them at once.
fn unless_nan(v: f32, a: vec4<f32>) -> f32 {
    let bits = bitcast<vec4<u32>>(a) & vec4(0x7fffffffu);
    return select(v, nan(), max(max(bits.x, bits.y), max(bits.z, bits.w)) > 0x7f800000u);
}

// The same for four values, sums by pairs.
fn accumulate4(a: Item, v: vec4<f32>) -> Item {
    switch OP {
        case 0u: { return Item(a.x + ((v.x + v.y) + (v.z + v.w)), 0.0); }
        case 1u: { return Item(a.x + dot(v, v), 0.0); }
        case 2u: { return Item(greater_of(a.x, unless_nan(greatest(v), v)), 0.0); }
        case 3u: { return Item(lesser_of(a.x, unless_nan(-greatest(-v), v)), 0.0); }
        default: {
            let m = max(a.x, greatest(v));
            let powers = select(exp(v - m), vec4(1.0), v == vec4(m));
            return Item(m, a.y * exp_below(a.x, m) + ((powers.x + powers.y) + (powers.z + powers.w)));
        }
    }
}

// What leaves an item as it is, where v counts once: 0 for sums, e^-∞ for logsumexp.
fn neutral() -> f32 {
    switch OP {
        case 2u, 4u: { return -infinity(); }
        case 3u: { return infinity(); }
        default: { return 0.0; }
    }
}

fn finish(a: Item, divisor: f32) -> f32 {
    switch OP {
        case 0u, 1u: { return a.x / divisor; }
        case 4u: { return select(a.x + log(a.y), a.x, a.x == -infinity() && !is_nan(a.y)); }
        default: { return a.x; }
    }
}
