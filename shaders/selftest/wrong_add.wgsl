// out = a + b, elementwise, with a fault on purpose.  FAULT 0 is the right sum; the parity run must catch every other.
// One invocation per element.

override WORKGROUP: u32 = 64;
override FAULT: u32 = 0;  // 1: one lane is off by 1e-3; 2: the last element is left out; 3: NaN becomes 0
//!include lib/float.wgsl

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * WORKGROUP + lane;
    if i >= params.size { return; }
    var sum = a[i] + b[i];
    if FAULT == 1u && lane == 37u { sum *= 1.001; }
    if FAULT == 2u && i + 1u == params.size { return; }
    if FAULT == 3u && is_nan(sum) { sum = 0.0; }
    out[i] = sum;
}
