// Gradient descent over a workgroup's stretch of the flat tensors.
override HAS_WEIGHT_DECAY: bool = false;
override HAS_DECAY: bool = false;
//!include lib/index.wgsl
//!include lib/gradient.wgsl

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let here = stretch_of(block);
    let t = steps[block] + 1u;
    let scale = norm_scale(lane, params.count, params.max_norm);
    for (var k = 0u; k < per_lane(); k++) {
        let i = vector_at(lane, k);
        if 4u * i >= here.count { break; }
        let at = here.at + i;
        let x = theta[at];
        var g = clipped(gradient_at(here, i), scale, params.limit);
        if HAS_WEIGHT_DECAY {
            var strength = params.weight_decay;
            if HAS_DECAY { strength *= decay[at / 16u]; }
            g += strength * x;
        }
        theta[at] = x - lr[0] * g;
    }
    count_step(lane, block, t);
}
