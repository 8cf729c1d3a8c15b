// theta -= lr·(g + weight_decay·theta).
// One invocation per `per` vectors of four elements.

override WORKGROUP: u32 = 256;
override HAS_WEIGHT_DECAY: bool = false;
override HAS_DECAY: bool = false;
//!include lib/index.wgsl
//!include lib/gradient.wgsl

struct Params { vectors: u32, blocks: u32, per: u32, count: u32, weight_decay: f32, limit: f32, max_norm: f32 }

@group(0) @binding(0) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> steps: array<u32>;
@group(0) @binding(3) var<storage, read> lr: array<f32>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let block = flat_group(group, groups);
    if block >= params.blocks { return; }  // the same for the whole workgroup
    let t = steps[block] + 1u;
    let scale = norm_scale(lane, params.count, params.max_norm);
    for (var k = 0u; k < params.per; k++) {
        let i = vector_at(lane, block, params.per, k);
        if i >= params.vectors { break; }
        var g = clipped(gradient[i], scale, params.limit);
        let x = theta[i];
        if HAS_WEIGHT_DECAY {
            var strength = params.weight_decay;
            if HAS_DECAY { strength *= decay[i / 16u]; }
            g += strength * x;
        }
        theta[i] = x - lr[0] * g;
    }
    count_step(lane, block, t);
}
