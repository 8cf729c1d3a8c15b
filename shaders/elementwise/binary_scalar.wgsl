// out = x OP value, or value OP x where SWAP is 1, elementwise with one number.  OP and DTYPE are constants.
// One invocation per four elements.

override WORKGROUP: u32 = 256;
override OP: u32;
override DTYPE: u32 = 0;
override SWAP: u32 = 0;
//!include lib/index.wgsl
//!include lib/binary.wgsl

struct Params { size: u32, value: u32 }  // the number's bits in the type that DTYPE says

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if 4u * q >= params.size { return; }
    let number = vec4(params.value);
    if SWAP == 1u { out[q] = apply4(number, x[q]); } else { out[q] = apply4(x[q], number); }
}
