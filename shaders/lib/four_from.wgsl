// Elements i..i+3 of 8 that lie in two loads.
fn four_from(low: vec4<f32>, high: vec4<f32>, i: u32) -> vec4<f32> {
    let by_two = (i & 2u) != 0u;
    let x = select(low, vec4<f32>(low.zw, high.xy), by_two);
    let next = select(high.x, high.z, by_two);
    return select(x, vec4<f32>(x.yzw, next), (i & 1u) != 0u);
}
