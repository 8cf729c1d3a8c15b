// Four floats that are loaded at once.
alias Four = vec4<f32>;

fn floats(x: Four) -> vec4<f32> { return x; }
