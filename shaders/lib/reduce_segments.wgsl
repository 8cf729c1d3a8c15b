// Combines the items of each SEGMENT adjacent lanes (a power of two, at most WORKGROUP); every lane gets its segment's.
// The including file has the overrides WORKGROUP and SEGMENT, `alias Item = ...` and `fn combine(a: Item, b: Item) -> Item`.
// Every lane must call, with uniform control flow. Lanes are numbered by lane_index(lane), never by the local index.
struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> items: array<Item, WORKGROUP>;

fn lane_index(lane: Lane) -> u32 { return lane.index; }

fn segment_reduce(lane: Lane, value: Item) -> Item {
    items[lane.index] = value;
    workgroupBarrier();
    for (var stride = SEGMENT / 2u; stride > 0u; stride /= 2u) {
        if lane.index % SEGMENT < stride { items[lane.index] = combine(items[lane.index], items[lane.index + stride]); }
        workgroupBarrier();
    }
    let result = items[lane.index / SEGMENT * SEGMENT];
    workgroupBarrier();
    return result;
}
