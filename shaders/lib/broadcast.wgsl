// Row-major coordinates and broadcast offsets for up to six axes.
// `n` and strides are two vec4s each: (axis 0..3), (axis 4, 5, -, -); a broadcast axis has stride 0.
fn broadcast_offset(i: u32, n_low: vec4<u32>, n_high: vec4<u32>, s_low: vec4<u32>, s_high: vec4<u32>) -> u32 {
    var rest = i;
    var offset = (rest % n_high.y) * s_high.y; rest /= n_high.y;
    offset += (rest % n_high.x) * s_high.x; rest /= n_high.x;
    offset += (rest % n_low.w) * s_low.w; rest /= n_low.w;
    offset += (rest % n_low.z) * s_low.z; rest /= n_low.z;
    offset += (rest % n_low.y) * s_low.y; rest /= n_low.y;
    return offset + rest * s_low.x;
}
