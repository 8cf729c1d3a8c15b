// flat = origin + Σ_r coefficients[r]·rows[r]; a coefficient of 0 leaves its row out, whatever it holds.
// One invocation per four elements.

override WORKGROUP: u32 = 256;
override HAS_ORIGIN: bool = false;
//!include lib/index.wgsl

struct Params { vectors: u32, count: u32 }

@group(0) @binding(0) var<storage, read_write> flat: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> coefficients: array<f32>;
@group(0) @binding(3) var<storage, read> origin: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i >= params.vectors { return; }
    var total = vec4<f32>(0.0);
    for (var r = 0u; r < params.count; r++) {
        let c = coefficients[r];
        if c != 0.0 { total += c * rows[r * params.vectors + i]; }
    }
    if HAS_ORIGIN { total += origin[i]; }
    flat[i] = total;
}
