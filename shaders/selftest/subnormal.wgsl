// product = x · y and total = x + y, to see what the driver does with subnormal numbers.
// One invocation per element.

override WORKGROUP: u32 = 64;

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> product: array<f32>;
@group(0) @binding(3) var<storage, read_write> total: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * WORKGROUP + lane;
    if i >= params.size { return; }
    product[i] = x[i] * y[i];
    total[i] = x[i] + y[i];
}
