// Where an invocation works in [N, C, L].  VEC4 0: one element each. 1: four neighbours along L. 2: L is 1, four neighbouring channels.
override VEC4: u32 = 0;

// The channel of invocation i, the first one with VEC4 2.
fn channel_of(i: u32, channels: u32, length: u32) -> u32 {
    if VEC4 == 2u { return i % (channels / 4u) * 4u; }
    if VEC4 == 1u { return i / (length / 4u) % channels; }
    return i / length % channels;
}

// out[i] of a vec4, or of a single element in each of its places.
fn put_channels(i: u32, v: vec4<f32>) {
    if VEC4 == 0u { out[i / 4u][i % 4u] = v.x; } else { out[i] = v; }
}
