// The weights of eight output channels under one tap. `weight_at(o, c, tap)` of the including file reads one of them.
// This path: with SPREAD each lane reads one and the subgroup shares them, which wants all lanes at every call.
override SPREAD: bool = false;  // the subgroups have 8 lanes or more

var<private> eighth: u32;  // which of the eight this lane reads

fn take_lane() { eighth = subgroupExclusiveAdd(1u) & 7u; }

fn eight_weights(o: u32, c: u32, tap: u32) -> mat2x4<f32> {
    if SPREAD {
        let w = weight_at(o + eighth, c, tap);
        return mat2x4<f32>(
            subgroupBroadcast(w, 0u), subgroupBroadcast(w, 1u), subgroupBroadcast(w, 2u), subgroupBroadcast(w, 3u),
            subgroupBroadcast(w, 4u), subgroupBroadcast(w, 5u), subgroupBroadcast(w, 6u), subgroupBroadcast(w, 7u),
        );
    }
    return mat2x4<f32>(
        weight_at(o, c, tap), weight_at(o + 1u, c, tap), weight_at(o + 2u, c, tap), weight_at(o + 3u, c, tap),
        weight_at(o + 4u, c, tap), weight_at(o + 5u, c, tap), weight_at(o + 6u, c, tap), weight_at(o + 7u, c, tap),
    );
}
