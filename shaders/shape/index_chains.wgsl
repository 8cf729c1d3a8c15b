// following[p] = the next position with the same index as p, or -1; first[p] = 1 where no earlier one has it.
// One invocation per position; all indices pass through shared memory, tile by tile: count² comparisons in all.
//
// Negative indices count from the end of `along`; those outside belong to no chain (first 0, following -1).

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl

struct Params { count: u32, along: u32 }

@group(0) @binding(0) var<storage, read> indices: array<i32>;
@group(0) @binding(1) var<storage, read_write> following: array<i32>;
@group(0) @binding(2) var<storage, read_write> first: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tile: array<i32, WORKGROUP>;

// The index at p counted from the front, or -1 where it lies outside (or p does).
fn index_at(p: u32) -> i32 {
    if p >= params.count { return -1; }
    var index = indices[p];
    if index < 0 { index += i32(params.along); }
    return select(-1, index, index >= 0 && index < i32(params.along));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let p = flat_group(group, groups) * WORKGROUP + lane;
    let mine = index_at(p);
    var next = -1;
    var leads = mine >= 0;
    for (var base = 0u; base < params.count; base += WORKGROUP) {
        tile[lane] = index_at(base + lane);
        workgroupBarrier();
        for (var k = 0u; k < WORKGROUP; k++) {
            let same = tile[k] == mine && mine >= 0;
            if same && base + k < p { leads = false; }
            if same && base + k > p && next < 0 { next = i32(base + k); }
        }
        workgroupBarrier();
    }
    if p < params.count {
        following[p] = next;
        first[p] = select(0, 1, leads);
    }
}
