// out = g · scale · (first or second derivative of the loss by the prediction); KIND says which loss.
// One invocation per element.

override WORKGROUP: u32 = 256;
override ORDER: u32 = 1;
//!include lib/index.wgsl
//!include lib/pointwise_loss.wgsl

struct Params { size: u32, delta: f32, scale: f32 }

@group(0) @binding(0) var<storage, read> prediction: array<f32>;
@group(0) @binding(1) var<storage, read> target_values: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    let factor = g[0] * params.scale;
    if ORDER == 1u {
        out[i] = factor * loss_slope(prediction[i], target_values[i], params.delta);
    } else {
        out[i] = factor * loss_curvature(prediction[i], target_values[i], params.delta);
    }
}
