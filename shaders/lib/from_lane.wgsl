// Lane n's value of x; without subgroups SPREAD is false and nobody asks.
override SPREAD: bool = false;  // the subgroups have 8 lanes or more

fn from_lane(x: vec4<f32>, n: u32) -> vec4<f32> { return x; }
