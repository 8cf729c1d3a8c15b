// g += weight_decay·theta; velocity = momentum·velocity + g; theta -= lr·velocity, or lr·(g + momentum·velocity) for Nesterov.
// One workgroup per row of `table`, which says which of up to 24 gradients it reads; four elements per invocation.

override WORKGROUP: u32 = 256;
//!include lib/sgd_momentum.wgsl
//!include lib/gradient_many.wgsl

struct Params { present: u32, blocks: u32, count: u32, momentum: f32, weight_decay: f32, limit: f32, max_norm: f32 }

@group(0) @binding(25) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(26) var<storage, read_write> velocity: array<vec4<f32>>;
@group(0) @binding(27) var<storage, read_write> steps: array<u32>;
@group(0) @binding(28) var<storage, read> lr: array<f32>;
@group(0) @binding(29) var<storage, read> partials: array<f32>;
@group(0) @binding(30) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(31) var<uniform> params: Params;
