// The weight of rows of lib/row.wgsl at the row's k-th vec4.
fn weight_at(k: u32) -> vec4<f32> {
    if ALIGNED == 1u { return weight[k]; }
    let c = column(k);
    return vec4(weight[c / 4u][c % 4u], weight[(c + 1u) / 4u][(c + 1u) % 4u], weight[(c + 2u) / 4u][(c + 2u) % 4u], weight[(c + 3u) / 4u][(c + 3u) % 4u]);
}
