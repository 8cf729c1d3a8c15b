// g += weight_decay·theta; velocity = momentum·velocity + g; theta -= lr·velocity, or lr·(g + momentum·velocity) for Nesterov.
// One invocation per `per` vectors of four elements.

override WORKGROUP: u32 = 256;
//!include lib/sgd_momentum.wgsl
//!include lib/gradient_one.wgsl

struct Params { vectors: u32, blocks: u32, per: u32, count: u32, momentum: f32, weight_decay: f32, limit: f32, max_norm: f32 }

@group(0) @binding(0) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> velocity: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> steps: array<u32>;
@group(0) @binding(4) var<storage, read> lr: array<f32>;
@group(0) @binding(5) var<storage, read> partials: array<f32>;
@group(0) @binding(6) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(7) var<uniform> params: Params;
