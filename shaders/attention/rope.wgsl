// out = x rotated by angle = position · base^(-2i/d) in the plane of elements i and i + d/2 of each row.
// One invocation per plane, position and four layers (heads) that share the angle.

override WORKGROUP: u32 = 256;
override PER_BATCH: bool = false;  // positions [batch, seq]; else [seq]
override INVERSE: bool = false;    // rotates back
const SHARED = 4u;
//!include lib/index.wgsl

// planes = d/2; layers = rows per position, of each of `entries`.
struct Params { planes: u32, seq: u32, layers: u32, entries: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<i32>;
@group(0) @binding(2) var<storage, read> turns: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// The upper half of the 64-bit product.
fn multiply_high(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u);
}

// Cosine and sine of position · turns, exact up to the last step: the angle is a 64-bit fixed-point fraction of a full
// turn, whose whole turns fall away by overflow. Its upper three bits, rounded, give the quadrant; the rest lies within
// π/4, where two short series are exact to float32 (the built-in functions promise only 2^-11).
fn cosine_sine(position: i32, turn: vec2<u32>) -> vec2<f32> {
    let p = u32(abs(position));
    let fraction = p * turn.x + multiply_high(p, turn.y);
    let quadrant = (fraction + 0x20000000u) >> 30u;
    let rest = f32(bitcast<i32>(fraction - (quadrant << 30u))) * 1.4629180792671596e-9;  // 2π / 2^32
    let z = rest * rest;
    let s = rest + rest * z * (-0.16666667 + z * (0.0083333333 + z * (-0.00019841270 + z * 2.7557319e-6)));
    let c = 1.0 + z * (-0.5 + z * (0.041666667 + z * (-0.0013888889 + z * (2.4801587e-5 - z * 2.7557319e-7))));
    var turned = vec2<f32>(c, s);
    if (quadrant & 1u) == 1u { turned = vec2<f32>(-s, c); }
    if (quadrant & 2u) == 2u { turned = -turned; }
    return select(turned, vec2<f32>(turned.x, -turned.y), (position < 0) != INVERSE);
}

// The two elements of a plane that starts at `at`, turned.
fn store(at: u32, value: vec2<f32>, turned: vec2<f32>) {
    out[at] = value.x * turned.x - value.y * turned.y;
    out[at + params.planes] = value.y * turned.x + value.x * turned.y;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let n = flat_group(group, groups) * WORKGROUP + lane;
    let plane = n % params.planes;
    let place = n / params.planes % params.seq;
    let blocks = (params.layers + SHARED - 1u) / SHARED;
    let block = n / params.planes / params.seq;
    let entry = block / blocks;
    if entry >= params.entries { return; }
    let layer = block % blocks * SHARED;
    // Neighbours read neighbouring elements; all four reads are on their way before the angle is known.
    let stride = 2u * params.planes * params.seq;
    let first = (entry * params.layers + layer) * stride + 2u * params.planes * place + plane;
    let at = first + stride * min(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.layers - 1u - layer));
    let value0 = vec2<f32>(x[at.x], x[at.x + params.planes]);
    let value1 = vec2<f32>(x[at.y], x[at.y + params.planes]);
    let value2 = vec2<f32>(x[at.z], x[at.z + params.planes]);
    let value3 = vec2<f32>(x[at.w], x[at.w + params.planes]);
    let turned = cosine_sine(positions[select(0u, entry * params.seq, PER_BATCH) + place], turns[plane]);
    store(at.x, value0, turned);
    if layer + 1u < params.layers { store(at.y, value1, turned); }
    if layer + 2u < params.layers { store(at.z, value2, turned); }
    if layer + 3u < params.layers { store(at.w, value3, turned); }
}
