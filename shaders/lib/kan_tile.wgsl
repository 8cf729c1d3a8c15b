// A TILE × TILE product by 16×16 invocations with 8×8 (TILE 128) or 4×4 (TILE 64) sums each, DEPTH inner indices at a time.
override TILE: u32 = 64;
override DEPTH: u32 = 16;  // 1 to 24

// [inner index][QUADS], four rows or columns per vec4. The translator wants the bare name of a constant as a length.
override QUADS: u32 = TILE / 4u;
override LENGTH: u32 = QUADS * DEPTH;
var<workgroup> left: array<vec4<f32>, LENGTH>;
var<workgroup> right: array<vec4<f32>, LENGTH>;

// Sums of a 4×4 block each, a column of the matrix per row of the result: rows (lower, upper half of the tile) by columns.
var<private> low_low: mat4x4<f32>;
var<private> low_high: mat4x4<f32>;
var<private> high_low: mat4x4<f32>;
var<private> high_high: mat4x4<f32>;

// Which quad of rows (x) and of columns (y) an invocation owns; 32 neighbours cover 4×8 blocks. TILE 128: also that 16 further on.
fn place_of(lane: u32) -> vec2<u32> {
    let warp = lane / 32u;
    return vec2<u32>(warp / 2u * 4u + lane % 32u / 8u, warp % 2u * 8u + lane % 8u);
}

fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y); }

fn step(k: u32, swap: u32, place: vec2<u32>) {
    let x_low = left[k * QUADS + (place.x ^ swap)];
    let y_low = right[k * QUADS + (place.y ^ swap)];
    low_low += outer(x_low, y_low);
    if TILE == 128u {
        let x_high = left[k * QUADS + (place.x ^ swap) + 16u];
        let y_high = right[k * QUADS + (place.y ^ swap) + 16u];
        low_high += outer(x_low, y_high);
        high_low += outer(x_high, y_low);
        high_high += outer(x_high, y_high);
    }
}

// Adds what is in shared memory. swap: 4 where slices were stored with quads of every second group of four inner indices exchanged.
fn add_products(place: vec2<u32>, swap: u32) {
    step(0u, 0u, place);
    if DEPTH > 1u { step(1u, 0u, place); }
    if DEPTH > 2u { step(2u, 0u, place); }
    if DEPTH > 3u { step(3u, 0u, place); }
    if DEPTH > 4u { step(4u, swap, place); }
    if DEPTH > 5u { step(5u, swap, place); }
    if DEPTH > 6u { step(6u, swap, place); }
    if DEPTH > 7u { step(7u, swap, place); }
    if DEPTH > 8u { step(8u, 0u, place); }
    if DEPTH > 9u { step(9u, 0u, place); }
    if DEPTH > 10u { step(10u, 0u, place); }
    if DEPTH > 11u { step(11u, 0u, place); }
    if DEPTH > 12u { step(12u, swap, place); }
    if DEPTH > 13u { step(13u, swap, place); }
    if DEPTH > 14u { step(14u, swap, place); }
    if DEPTH > 15u { step(15u, swap, place); }
    if DEPTH > 16u { step(16u, 0u, place); }
    if DEPTH > 17u { step(17u, 0u, place); }
    if DEPTH > 18u { step(18u, 0u, place); }
    if DEPTH > 19u { step(19u, 0u, place); }
    if DEPTH > 20u { step(20u, swap, place); }
    if DEPTH > 21u { step(21u, swap, place); }
    if DEPTH > 22u { step(22u, swap, place); }
    if DEPTH > 23u { step(23u, swap, place); }
}
