// Compensated sums (Kahan) over rows of updates that sorted pairs (index, position) name; the including file has the
// bindings `pairs` and `updates`, and overrides for UNIT: 4 where rows are whole vec4s, else 1.
//
// `zero` is 0: without it, a compiler that may reorder sums would find the compensation to be 0 and drop it.
const CHUNK: u32 = 32u;

struct Sum { total: vec4<f32>, lost: vec4<f32> }

fn plus(sum: Sum, value: vec4<f32>, zero: u32) -> Sum {
    let v = value - sum.lost;
    let total = bitcast<vec4<f32>>(bitcast<vec4<u32>>(sum.total + v) ^ vec4<u32>(zero));
    return Sum(total, (total - sum.total) - v);
}

fn update_at(i: u32) -> vec4<f32> {
    if UNIT == 4u { return updates[i]; }
    return vec4<f32>(updates[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}
