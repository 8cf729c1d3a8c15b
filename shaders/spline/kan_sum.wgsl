// out[n] = bias[n mod columns] + Σ_c partial[c,n].
// One invocation per four elements; every sum is taken in the order of c.

override WORKGROUP: u32 = 128;
override HAS_BIAS: bool = false;
override VECTOR: bool = false;  // size is a multiple of 4
//!include lib/index.wgsl

struct Params { size: u32, columns: u32, parts: u32 }

@group(0) @binding(0) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn part(i: u32) -> f32 { return partial[i / 4u][i % 4u]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let n = 4u * (flat_group(group, groups) * WORKGROUP + lane);
    if n >= params.size { return; }
    let count = min(4u, params.size - n);
    var sum = vec4<f32>();
    for (var c = 0u; c < params.parts; c++) {
        let at = c * params.size + n;
        if VECTOR {
            sum += partial[at / 4u];
        } else {
            for (var q = 0u; q < count; q++) { sum[q] += part(at + q); }
        }
    }
    if HAS_BIAS {
        for (var q = 0u; q < count; q++) { sum[q] += bias[(n + q) % params.columns]; }
    }
    out[n / 4u] = sum;  // the storage reaches to the next multiple of four
}
