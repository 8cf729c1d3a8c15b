// out[o, p, i] = OP over part p of the middle axis of x (or of x - center[o, i]) / divisor.  OP: see lib/reduce_ops.wgsl.
// One workgroup per COLS neighbouring columns of one part: its WORKGROUP / COLS rows of lanes stride down the columns.

override WORKGROUP: u32 = 256;
override COLS: u32 = 32;
override OP: u32;
override HAS_CENTER: u32 = 0;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce_ops.wgsl

// The middle axis of length `reduced` has `parts` parts of `chunk`, the last one what is left; tiles = ⌈inner / COLS⌉.
struct Params { inner: u32, reduced: u32, parts: u32, chunk: u32, tiles: u32, total: u32, centers: u32, divisor: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> items: array<Item, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = flat_group(group, groups);
    let part = tile / params.tiles;  // of all parts of all outer indices
    let column = tile % params.tiles * COLS + lane % COLS;
    let outer = part / params.parts;
    let here = tile < params.total && column < params.inner;
    items[lane] = identity();
    if here {
        var shift = 0.0;
        if HAS_CENTER == 1u { shift = center[(outer * params.inner + column) % params.centers]; }
        let start = part % params.parts * params.chunk;
        let count = min(params.chunk, params.reduced - start);
        let first = (outer * params.reduced + start) * params.inner + column;
        var item = identity();
        let step = WORKGROUP / COLS;
        let last = count - 1u;
        for (var r = lane / COLS; r < count; r += 4u * step) {
            let a = x[first + r * params.inner] - shift;  // four loads under way; behind the end they repeat the last one
            let b = x[first + min(r + step, last) * params.inner] - shift;
            let c = x[first + min(r + 2u * step, last) * params.inner] - shift;
            let d = x[first + min(r + 3u * step, last) * params.inner] - shift;
            item = accumulate(item, a);
            if r + step < count { item = accumulate(item, b); }
            if r + 2u * step < count { item = accumulate(item, c); }
            if r + 3u * step < count { item = accumulate(item, d); }
        }
        items[lane] = item;
    }
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride >= COLS; stride /= 2u) {
        if lane < stride { items[lane] = combine(items[lane], items[lane + stride]); }
        workgroupBarrier();
    }
    if here && lane < COLS { out[part * params.inner + column] = finish(items[lane], params.divisor); }
}
