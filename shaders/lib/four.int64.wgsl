// lib/four.wgsl for adapters with 64-bit integers: a software driver gathers each lane's elements one by one, so two cost half of four.
alias Four = vec2<u64>;

fn floats(x: Four) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(x.x), u32(x.x >> 32u), u32(x.y), u32(x.y >> 32u)));
}
