// Σ v² without overflow: (the squares of ordinary values, the squares of those above 1e15, scaled by 2^-80 first).
fn squares(v: f32) -> vec2<f32> {
    let large = abs(v) > 1e15;
    let scaled = select(v, v * 0x1p-80f, large);
    return select(vec2(scaled * scaled, 0.0), vec2(0.0, scaled * scaled), large);
}

// The same for four values; one test for all of them, where none is large.
fn squares4(v: vec4<f32>) -> vec2<f32> {
    if max(max(abs(v.x), abs(v.y)), max(abs(v.z), abs(v.w))) <= 1e15 {
        let s = v * v;
        return vec2((s.x + s.y) + (s.z + s.w), 0.0);
    }
    return (squares(v.x) + squares(v.y)) + (squares(v.z) + squares(v.w));
}

// 1 / √(Σ v² / count + eps) from the two sums.  The including file includes lib/float.wgsl too.
fn inverse_root(sums: vec2<f32>, count: f32, eps: f32) -> f32 {
    if is_nan(sums.x) || is_nan(sums.y) { return nan(); }  // not every driver's inverseSqrt keeps it
    if sums.y > 0.0 {
        return inverseSqrt((sums.y + sums.x * 0x1p-80f * 0x1p-80f) / count + eps * 0x1p-80f * 0x1p-80f) * 0x1p-80f;
    }
    return inverseSqrt(sums.x / count + eps);
}
