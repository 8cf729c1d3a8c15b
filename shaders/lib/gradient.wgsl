// A gradient scaled by the global norm's factor and then kept within ±limit (HAS_CLIP); NaN stays NaN.
override HAS_CLIP: bool = false;

fn clipped(g: vec4<f32>, scale: f32, limit: f32) -> vec4<f32> {
    let scaled = g * scale;
    if !HAS_CLIP { return scaled; }
    let undefined = (bitcast<vec4<u32>>(scaled) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(clamp(scaled, vec4<f32>(-limit), vec4<f32>(limit)), scaled, undefined);
}
