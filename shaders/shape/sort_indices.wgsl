// out = pairs (index, position) of every block of positions in ascending order.
// One workgroup per block of up to 1024, by a bitonic network in shared memory.
//
// Negative indices count from the end of `along`; those outside become the largest number, which no axis reaches.

override WORKGROUP: u32 = 256;
override BLOCK: u32 = 1024;  // a power of two, smaller where all positions fit in less
//!include lib/index.wgsl

struct Params { count: u32, along: u32 }

@group(0) @binding(0) var<storage, read> indices: array<i32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> keys: array<u32, 1024>;
var<workgroup> places: array<u32, 1024>;

fn key_at(p: u32) -> u32 {
    if p >= params.count { return 0xffffffffu; }
    var index = indices[p];
    if index < 0 { index += i32(params.along); }
    return select(0xffffffffu, u32(index), index >= 0 && u32(index) < params.along);
}

// Puts the pairs at i and j > i in order: ascending or descending.
fn exchange(i: u32, j: u32, ascending: bool) {
    let a = keys[i];
    let b = keys[j];
    let p = places[i];
    let q = places[j];
    if (a > b || (a == b && p > q)) == ascending {
        keys[i] = b;
        keys[j] = a;
        places[i] = q;
        places[j] = p;
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let start = flat_group(group, groups) * BLOCK;
    for (var i = lane; i < BLOCK; i += WORKGROUP) {
        keys[i] = key_at(start + i);
        places[i] = start + i;
    }
    workgroupBarrier();
    for (var run = 2u; run <= BLOCK; run *= 2u) {
        for (var step = run / 2u; step > 0u; step /= 2u) {
            for (var k = lane; k < BLOCK / 2u; k += WORKGROUP) {
                let i = 2u * k - (k & (step - 1u));  // the k-th number without the bit `step`
                exchange(i, i + step, (i & run) == 0u);
            }
            workgroupBarrier();
        }
    }
    for (var i = lane; i < BLOCK; i += WORKGROUP) {
        if start + i < params.count { out[start + i] = vec2<u32>(keys[i], places[i]); }
    }
}
