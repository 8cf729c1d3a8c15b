// The bias of rows of lib/row.wgsl at the row's k-th vec4.
fn bias_at(k: u32) -> vec4<f32> {
    if ALIGNED == 1u { return bias[k]; }
    let c = column(k);
    return vec4(bias[c / 4u][c % 4u], bias[(c + 1u) / 4u][(c + 1u) % 4u], bias[(c + 2u) / 4u][(c + 2u) % 4u], bias[(c + 3u) / 4u][(c + 3u) % 4u]);
}
