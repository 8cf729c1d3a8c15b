// out = state; then state's 64-bit counter += blocks.
// One invocation.

struct Params { blocks: u32 }

@group(0) @binding(0) var<storage, read_write> state: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
    for (var i = 0u; i < 4u; i++) { out[i] = state[i]; }
    let low = out[2] + params.blocks;
    state[2] = low;
    if low < params.blocks { state[3] = out[3] + 1u; }
}
