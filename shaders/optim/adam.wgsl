// m = beta1·m + (1-beta1)·g; v = beta2·v + (1-beta2)·g²; theta -= lr·(m / (1-beta1^t)) / (√(v / (1-beta2^t)) + eps).
// One invocation per `per` vectors of four elements.

override WORKGROUP: u32 = 256;
//!include lib/adam.wgsl
//!include lib/gradient_one.wgsl

struct Params {
    vectors: u32, blocks: u32, per: u32, count: u32, beta1: f32, rest1: f32, beta2: f32, rest2: f32,  // rest = 1 - beta, rounded once
    log_beta1: f32, log_beta2: f32, eps: f32, weight_decay: f32, limit: f32, max_norm: f32,
}

@group(0) @binding(0) var<storage, read_write> theta: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read> lr: array<f32>;
@group(0) @binding(6) var<storage, read> partials: array<f32>;
@group(0) @binding(7) var<storage, read> decay: array<f32>;  // one multiplier per 64 elements
@group(0) @binding(8) var<uniform> params: Params;
