// Rows r..r+7 of A, four elements along the inner axis from k each, in every lane of a workgroup of 8.
// `a_along(start, r, k)` of the including file reads one row's four. This path: each lane reads one row, the subgroup shares.
override SPREAD: bool = false;  // the subgroups have 8 lanes or more

fn eight_rows(start: u32, r: u32, k: u32, lane: u32) -> array<vec4<f32>, 8> {
    if SPREAD {
        let x = a_along(start, r + lane, k);
        return array<vec4<f32>, 8>(
            subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u),
            subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u),
        );
    }
    return array<vec4<f32>, 8>(
        a_along(start, r, k), a_along(start, r + 1u, k), a_along(start, r + 2u, k), a_along(start, r + 3u, k),
        a_along(start, r + 4u, k), a_along(start, r + 5u, k), a_along(start, r + 6u, k), a_along(start, r + 7u, k),
    );
}
