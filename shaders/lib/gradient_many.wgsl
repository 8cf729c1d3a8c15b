// The gradients of up to 24 parameters where they lie. Row b of `table` is the stretch of workgroup b: (source, first element in it,
// first element in the flat tensors, elements); bit s of the parameter `present` says that source s is there, others are zeros.
struct Stretch { source: u32, start: u32, at: u32, count: u32 }  // start and at in vectors of four

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> source0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> source1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> source2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> source3: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> source4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> source5: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> source6: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> source7: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> source8: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read> source9: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read> source10: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read> source11: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read> source12: array<vec4<f32>>;
@group(0) @binding(14) var<storage, read> source13: array<vec4<f32>>;
@group(0) @binding(15) var<storage, read> source14: array<vec4<f32>>;
@group(0) @binding(16) var<storage, read> source15: array<vec4<f32>>;
@group(0) @binding(17) var<storage, read> source16: array<vec4<f32>>;
@group(0) @binding(18) var<storage, read> source17: array<vec4<f32>>;
@group(0) @binding(19) var<storage, read> source18: array<vec4<f32>>;
@group(0) @binding(20) var<storage, read> source19: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read> source20: array<vec4<f32>>;
@group(0) @binding(22) var<storage, read> source21: array<vec4<f32>>;
@group(0) @binding(23) var<storage, read> source22: array<vec4<f32>>;
@group(0) @binding(24) var<storage, read> source23: array<vec4<f32>>;

fn per_lane() -> u32 { return 1u; }

fn stretch_of(block: u32) -> Stretch {
    let row = table[block];
    return Stretch(row.x, row.y / 4u, row.z / 4u, row.w);
}

// Which source it is depends on the workgroup alone, so no lanes part ways.
fn load(source: u32, i: u32) -> vec4<f32> {
    switch source {
        case 0u: { return source0[i]; }
        case 1u: { return source1[i]; }
        case 2u: { return source2[i]; }
        case 3u: { return source3[i]; }
        case 4u: { return source4[i]; }
        case 5u: { return source5[i]; }
        case 6u: { return source6[i]; }
        case 7u: { return source7[i]; }
        case 8u: { return source8[i]; }
        case 9u: { return source9[i]; }
        case 10u: { return source10[i]; }
        case 11u: { return source11[i]; }
        case 12u: { return source12[i]; }
        case 13u: { return source13[i]; }
        case 14u: { return source14[i]; }
        case 15u: { return source15[i]; }
        case 16u: { return source16[i]; }
        case 17u: { return source17[i]; }
        case 18u: { return source18[i]; }
        case 19u: { return source19[i]; }
        case 20u: { return source20[i]; }
        case 21u: { return source21[i]; }
        case 22u: { return source22[i]; }
        default: { return source23[i]; }
    }
}

// Vector i of a stretch; zeros behind its end.
fn gradient_at(here: Stretch, i: u32) -> vec4<f32> {
    if ((params.present >> here.source) & 1u) == 0u { return vec4<f32>(0.0); }
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(here.count);
    return select(vec4<f32>(0.0), load(here.source, here.start + i), inside);
}
