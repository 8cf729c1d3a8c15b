// out[i,c] = activation(Σ_p partial[p,i,c] + bias[c]).
// One invocation per element; the parts are added in order.

override WORKGROUP: u32 = 64;
override HAS_BIAS: bool = false;
//!include lib/index.wgsl
//!include lib/tile_activation.wgsl

struct Params { size: u32, cols: u32, parts: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.size { return; }
    var sum = 0.0;
    for (var p = 0u; p < params.parts; p++) { sum += partial[p * params.size + i]; }
    if HAS_BIAS { sum += bias[i % params.cols]; }
    out[i] = activate(sum);
}
