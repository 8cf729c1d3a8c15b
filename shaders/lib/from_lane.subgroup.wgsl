// Lane n's value of x, the same n in all lanes of the subgroup.
override SPREAD: bool = false;  // the subgroups have 8 lanes or more

fn from_lane(x: vec4<f32>, n: u32) -> vec4<f32> { return subgroupShuffle(x, n); }
