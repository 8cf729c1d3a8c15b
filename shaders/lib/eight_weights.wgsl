// The weights of eight output channels under one tap. `weight_at(o, c, tap)` of the including file reads one of them.
// This path: every lane reads all eight.
override SPREAD: bool = false;  // the subgroups have 8 lanes or more; without subgroups it has no part

fn take_lane() {}

fn eight_weights(o: u32, c: u32, tap: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        weight_at(o, c, tap), weight_at(o + 1u, c, tap), weight_at(o + 2u, c, tap), weight_at(o + 3u, c, tap),
        weight_at(o + 4u, c, tap), weight_at(o + 5u, c, tap), weight_at(o + 6u, c, tap), weight_at(o + 7u, c, tap),
    );
}
