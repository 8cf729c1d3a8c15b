// Random numbers from a generator's state (seed low, seed high, counter low, counter high) and a block index.
//!include lib/philox.wgsl

// The four words of block `block` after the state's counter.
fn random_block(state: vec4<u32>, block: u32) -> vec4<u32> {
    let low = state.z + block;
    let carry = select(0u, 1u, low < block);
    return philox4x32(vec4<u32>(low, state.w + carry, 0u, 0u), state.xy);
}

// The upper 24 bits as a number in [0, 1): exact in f32.
fn unit(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(words >> vec4<u32>(8u)) * 5.9604644775390625e-8;
}
