// out = x + 1, on one element: a dispatch that costs nothing but itself.
// One workgroup.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
    if lane == 0u { out[0] = x[0] + 1.0; }
}
