// Row-major walks over up to six axes, of which the last RANK count; a broadcast axis has stride 0.
// Extents n and strides s are two vec4s each: (axis 0..3), (axis 4, 5, -, -).
override RANK: u32 = 6;

// The offset of row `row` of the last axis.
fn row_offset(row: u32, n_low: vec4<u32>, n_high: vec4<u32>, s_low: vec4<u32>, s_high: vec4<u32>) -> u32 {
    if RANK <= 1u { return 0u; }
    if RANK == 2u { return row * s_high.x; }
    var rest = row / n_high.x;
    var offset = (row - rest * n_high.x) * s_high.x;
    if RANK == 3u { return offset + rest * s_low.w; }
    offset += (rest % n_low.w) * s_low.w;
    rest /= n_low.w;
    if RANK == 4u { return offset + rest * s_low.z; }
    offset += (rest % n_low.z) * s_low.z;
    rest /= n_low.z;
    if RANK == 5u { return offset + rest * s_low.y; }
    return offset + (rest % n_low.y) * s_low.y + (rest / n_low.y) * s_low.x;
}

// The offset of element i.
fn walk(i: u32, n_low: vec4<u32>, n_high: vec4<u32>, s_low: vec4<u32>, s_high: vec4<u32>) -> u32 {
    if RANK <= 1u { return i * s_high.y; }
    let row = i / n_high.y;
    return row_offset(row, n_low, n_high, s_low, s_high) + (i - row * n_high.y) * s_high.y;
}

// The offsets of elements i to i + 3: divisions are dear, so those of one row share them.
fn walk4(i: u32, n_low: vec4<u32>, n_high: vec4<u32>, s_low: vec4<u32>, s_high: vec4<u32>) -> vec4<u32> {
    let n = n_high.y;
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    if RANK <= 1u { return (i + four) * s_high.y; }
    let row = i / n;
    let at = i - row * n + four;
    let first = row_offset(row, n_low, n_high, s_low, s_high) + at * s_high.y;
    if at.w < n { return first; }
    if n >= 4u {
        let second = row_offset(row + 1u, n_low, n_high, s_low, s_high) + (at - n) * s_high.y;
        return select(second, first, at < vec4<u32>(n));
    }
    return vec4<u32>(first.x, walk(i + 1u, n_low, n_high, s_low, s_high), walk(i + 2u, n_low, n_high, s_low, s_high),
        walk(i + 3u, n_low, n_high, s_low, s_high));
}
