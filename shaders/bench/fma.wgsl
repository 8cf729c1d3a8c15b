// out = x after `rounds` · 4 steps of v·scale + shift on eight vectors per invocation: arithmetic in registers alone.
// One invocation per vector of four results; each runs eight independent chains, so that latency is hidden.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { vectors: u32, rounds: u32, scale: f32, shift: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.vectors { return; }
    let m = vec4<f32>(params.scale);
    let c = vec4<f32>(params.shift);
    var v0 = x[i];
    var v1 = v0 + c; var v2 = v1 + c; var v3 = v2 + c; var v4 = v3 + c; var v5 = v4 + c; var v6 = v5 + c; var v7 = v6 + c;
    for (var k = 0u; k < params.rounds; k++) {
        v0 = v0 * m + c; v1 = v1 * m + c; v2 = v2 * m + c; v3 = v3 * m + c;
        v4 = v4 * m + c; v5 = v5 * m + c; v6 = v6 * m + c; v7 = v7 * m + c;
        v0 = v0 * m + c; v1 = v1 * m + c; v2 = v2 * m + c; v3 = v3 * m + c;
        v4 = v4 * m + c; v5 = v5 * m + c; v6 = v6 * m + c; v7 = v7 * m + c;
        v0 = v0 * m + c; v1 = v1 * m + c; v2 = v2 * m + c; v3 = v3 * m + c;
        v4 = v4 * m + c; v5 = v5 * m + c; v6 = v6 * m + c; v7 = v7 * m + c;
        v0 = v0 * m + c; v1 = v1 * m + c; v2 = v2 * m + c; v3 = v3 * m + c;
        v4 = v4 * m + c; v5 = v5 * m + c; v6 = v6 * m + c; v7 = v7 * m + c;
    }
    out[i] = ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7));
}
