// out = x in another element type.  FROM and TO are constants: 0 float32, 1 int32, 2 uint32, 3 bool, 4 float16, 5 bfloat16.
// One invocation per 16 bytes of the result; 16-bit elements lie two to a word.

override WORKGROUP: u32 = 256;
override ELEMENTS: u32 = 4;
override FROM: u32;
override TO: u32;
//!include lib/index.wgsl
//!include lib/half.wgsl

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

// Floats become integers by truncation; what lies outside becomes the nearest integer, NaN becomes 0.
fn float_to_int(bits: u32) -> u32 {
    let v = bitcast<f32>(bits);
    if (bits & 0x7fffffffu) > 0x7f800000u { return 0u; }
    if v >= 2147483648.0 { return 0x7fffffffu; }
    if v <= -2147483648.0 { return 0x80000000u; }
    return bitcast<u32>(i32(v));
}
fn float_to_uint(bits: u32) -> u32 {
    let v = bitcast<f32>(bits);
    if (bits & 0x7fffffffu) > 0x7f800000u || v <= 0.0 { return 0u; }
    if v >= 4294967296.0 { return 0xffffffffu; }
    return u32(v);
}

fn to_float(bits: u32) -> u32 {
    switch FROM {
        case 1u: { return bitcast<u32>(f32(bitcast<i32>(bits))); }
        case 2u, 3u: { return bitcast<u32>(f32(bits)); }
        case 4u: { return decode_float16(bits); }
        case 5u: { return decode_bfloat16(bits); }
        default: { return bits; }
    }
}

fn convert(bits: u32) -> u32 {
    let from_float = FROM == 0u || FROM >= 4u;
    switch TO {
        case 1u: { if from_float { return float_to_int(to_float(bits)); } return bits; }
        case 2u: { if from_float { return float_to_uint(to_float(bits)); } return bits; }
        case 3u: { return select(0u, 1u, select(bits, to_float(bits) & 0x7fffffffu, from_float) != 0u); }
        case 4u: { return encode_float16(to_float(bits)); }
        case 5u: { return encode_bfloat16(to_float(bits)); }
        default: { return to_float(bits); }
    }
}

fn convert4(v: vec4<u32>) -> vec4<u32> {
    if FROM == TO { return v; }
    return vec4(convert(v.x), convert(v.y), convert(v.z), convert(v.w));
}

// Four elements from two words, and back.
fn unpacked(words: vec2<u32>) -> vec4<u32> { return vec4(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u); }
fn packed(v: vec4<u32>) -> vec2<u32> { return vec2(v.x | (v.y << 16u), v.z | (v.w << 16u)); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let q = flat_group(group, groups) * WORKGROUP + lane;
    if ELEMENTS * q >= params.size { return; }
    if TO < 4u {
        if FROM < 4u { out[q] = convert4(x[q]); return; }
        let words = x[q / 2u];  // two invocations share a vector, so that each writes a whole one
        out[q] = convert4(unpacked(select(words.xy, words.zw, q % 2u == 1u)));
        return;
    }
    if FROM >= 4u {
        let words = x[q];
        out[q] = vec4(packed(convert4(unpacked(words.xy))), packed(convert4(unpacked(words.zw))));
        return;
    }
    out[q] = vec4(packed(convert4(x[2u * q])), packed(convert4(x[2u * q + 1u])));
}
