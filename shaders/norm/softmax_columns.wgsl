// out = e^(x - m) / Σ e^(x - m) along the middle axis of [outer, reduced, inner], m its maximum (LOG: x - m - log Σ e^(x - m)).
// One workgroup per COLS neighbouring columns: its WORKGROUP / COLS rows of lanes stride down them, once for the sum, once for the result.

override WORKGROUP: u32 = 256;
override LOG: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/column_tile.wgsl

struct Params { inner: u32, reduced: u32, tiles: u32, total: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

alias Item = vec2<f32>;  // (the greatest value, Σ e^(x - the greatest))

const LEAST = -0x1.fffffep127f;  // where all are -∞ no difference is NaN, and the sum is 0

var<workgroup> items: array<Item, WORKGROUP>;

fn combine(a: Item, b: Item) -> Item {
    let m = max(a.x, b.x);
    return Item(m, a.y * exp(a.x - m) + b.y * exp(b.x - m));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    take_tile(flat_group(group, groups), lane);
    var item = Item(LEAST, 0.0);
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) {
        let v = x[tile_first + r * params.inner];
        if v > item.x { item = Item(v, item.y * exp(item.x - v)); }
        item.y += exp(v - item.x);
    }
    items[lane] = item;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { items[lane] = combine(items[lane], items[lane + stride]); }
        workgroupBarrier();
    }
    let both = items[lane % COLS];
    let sum = select(both.y, nan(), both.y == 0.0 || is_inf(both.x));  // nothing but -∞, or ∞ - ∞
    for (var r = lane / COLS; r < tile_rows(); r += WORKGROUP / COLS) {
        let i = tile_first + r * params.inner;
        let above = x[i] - both.x;
        if LOG == 1u { out[i] = above - log(sum); } else { out[i] = exp(above) / sum; }
    }
}
