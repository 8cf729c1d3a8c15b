// Which of two elements is the first maximum, or with MINIMUM, an override of the including file, the first minimum.
//!include lib/float.wgsl
alias Item = vec2<u32>;  // (key, index): the greater key wins, then the smaller index

fn combine(a: Item, b: Item) -> Item {
    return select(b, a, a.x > b.x || (a.x == b.x && a.y < b.y));
}

// Grows with v (falls with it for MINIMUM); both zeros are equal, NaN is above all.
fn key(v: f32) -> u32 {
    if is_nan(v) { return 0xffffffffu; }
    let bits = bitcast<u32>(select(v, 0.0, v == 0.0));
    let rising = select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
    return select(rising, ~rising, MINIMUM == 1u);
}
