// found = x[index], y[index] = 1, kept = index[lane], for indices that may lie anywhere: what bounds checks must hold.
// One workgroup; one invocation per index.

override WORKGROUP: u32 = 64;

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: array<f32>;
@group(0) @binding(4) var<storage, read_write> kept: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> own: array<u32, 64>;
var<workgroup> other: array<u32, 64>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    own[lane] = lane;
    workgroupBarrier();
    if lane < params.size {
        found[lane] = x[index[lane]];
        y[index[lane]] = 1.0;
        other[index[lane]] = 1u;  // beside `own`, which it must not reach
    }
    workgroupBarrier();
    if lane < params.size { kept[lane] = own[lane]; }
}
