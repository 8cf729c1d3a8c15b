// out[b] = scale · Σ loss(prediction, target) over block b of BLOCK elements and, WITH_SLOPE, slope = scale · loss'; KIND says which.
// One workgroup per block.

override WORKGROUP: u32 = 256;
override BLOCK: u32 = 4096;
override WITH_SLOPE: bool = false;
//!include lib/index.wgsl
//!include lib/pointwise_loss.wgsl
//!include lib/reduce.wgsl

struct Params { size: u32, blocks: u32, delta: f32, scale: f32 }

@group(0) @binding(0) var<storage, read> prediction: array<f32>;
@group(0) @binding(1) var<storage, read> target_values: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> slope: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let end = min(block * BLOCK + BLOCK, params.size);
    var total = 0.0;
    for (var i = block * BLOCK + lane.index; i < end; i += WORKGROUP) {
        let x = prediction[i];
        let t = target_values[i];
        // scaled before the sum, which would overflow earlier than the mean
        total += params.scale * loss_value(x, t, params.delta);
        if WITH_SLOPE { slope[i] = params.scale * loss_slope(x, t, params.delta); }
    }
    total = workgroup_sum(lane, total);
    if lane.index == 0u { out[block] = total; }
}
