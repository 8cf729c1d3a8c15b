// A TILE × TILE product, DEPTH inner indices at a time: by 256 invocations with 4×4 sums each (TILE 64), or 128 with 8×16 (TILE 128).
override TILE: u32 = 64;
override WORKGROUP: u32 = 256;  // 256 with TILE 64, 128 with TILE 128
override DEPTH: u32 = 16;       // 1 to 24

override QUADS: u32 = TILE / 4u;
override LENGTH: u32 = QUADS * DEPTH;
override WIDE: bool = TILE == 128u;
override LEFT_WIDE: bool = WIDE;
override RIGHT_WIDE: bool = WIDE;
//!include lib/tile_slices.wgsl

// The first quad of rows (x) and of columns (y) of an invocation; the others of TILE 128 are 8 further down and 4, 8, 12 across.
fn place_of(lane: u32) -> vec2<u32> {
    let field = lane / 32u;
    let n = lane % 32u;
    if WIDE { return vec2<u32>(field / 2u * 16u + n / 8u * 2u + n % 2u, field % 2u * 16u + n / 2u % 4u); }
    return vec2<u32>(field / 2u * 4u + n / 8u, field % 2u * 8u + n % 8u);
}

fn step(k: u32, place: vec2<u32>) {
    let x0 = left_get(k, place.x);
    let y0 = right_get(k, place.y);
    c00 += outer(x0, y0);
    if WIDE {
        let x1 = left_get(k, place.x + 8u);
        let y1 = right_get(k, place.y + 4u);
        let y2 = right_get(k, place.y + 8u);
        let y3 = right_get(k, place.y + 12u);
        c01 += outer(x0, y1); c02 += outer(x0, y2); c03 += outer(x0, y3);
        c10 += outer(x1, y0); c11 += outer(x1, y1); c12 += outer(x1, y2); c13 += outer(x1, y3);
    }
}

// Adds what is in shared memory.
fn add_products(place: vec2<u32>) {
    step(0u, place);
    if DEPTH > 1u { step(1u, place); }
    if DEPTH > 2u { step(2u, place); }
    if DEPTH > 3u { step(3u, place); }
    if DEPTH > 4u { step(4u, place); }
    if DEPTH > 5u { step(5u, place); }
    if DEPTH > 6u { step(6u, place); }
    if DEPTH > 7u { step(7u, place); }
    if DEPTH > 8u { step(8u, place); }
    if DEPTH > 9u { step(9u, place); }
    if DEPTH > 10u { step(10u, place); }
    if DEPTH > 11u { step(11u, place); }
    if DEPTH > 12u { step(12u, place); }
    if DEPTH > 13u { step(13u, place); }
    if DEPTH > 14u { step(14u, place); }
    if DEPTH > 15u { step(15u, place); }
    if DEPTH > 16u { step(16u, place); }
    if DEPTH > 17u { step(17u, place); }
    if DEPTH > 18u { step(18u, place); }
    if DEPTH > 19u { step(19u, place); }
    if DEPTH > 20u { step(20u, place); }
    if DEPTH > 21u { step(21u, place); }
    if DEPTH > 22u { step(22u, place); }
    if DEPTH > 23u { step(23u, place); }
}
