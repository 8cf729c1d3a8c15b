// out[0] = the number of lanes in a subgroup, as this adapter runs it.
// One workgroup.

@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(subgroup_size) size: u32) {
    if lane == 0u { out[0] = size; }
}
