// Four neighbours of what arrives at a sample, in `g` [batch, outputs], as lib/kan_table.wgsl loads them.
fn arriving(i: u32) -> f32 { return g[i / 4u][i % 4u]; }

fn arriving_four(start: u32, j: u32) -> vec4<f32> {
    let last = params.outputs - 1u;
    if VECTOR { return g[(start + min(j, last)) / 4u]; }
    return vec4<f32>(
        arriving(start + min(j, last)), arriving(start + min(j + 1u, last)),
        arriving(start + min(j + 2u, last)), arriving(start + min(j + 3u, last)),
    );
}
