// out, lse = attention over each chunk of 128 keys alone, per query: for few queries and many keys; attention_merge joins the chunks.
// One workgroup per query and chunk: an invocation per key for the scores, then four columns of the result each.

override WORKGROUP: u32 = 128;
const CHUNK = 128u;
@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> cache_length: array<i32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
//!include lib/tile_attention.wgsl
//!include lib/reduce.wgsl

var<workgroup> weights: array<f32, CHUNK>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let chunks = (params.k_len + CHUNK - 1u) / CHUNK;
    let number = flat_group(group, groups);
    let chunk = number % chunks;
    let query = number / chunks % params.q_len;
    let head = number / chunks / params.q_len % params.heads;
    let batch = number / chunks / params.q_len / params.heads;
    if batch >= params.batch { return; }
    let q_at = ((batch * params.heads + head) * params.q_len + query) * params.dim;
    let kv_start = (batch * params.kv_heads + head / (params.heads / params.kv_heads)) * params.k_len * params.dim;
    let valid = valid_keys(batch);
    let first = chunk * CHUNK;
    let count = min(CHUNK, max(valid, first) - first);
    var s = LOWEST;
    if lane.index < count {
        let k_at = kv_start + (first + lane.index) * params.dim;
        var product = 0.0;
        for (var c = 0u; c < params.dim; c += 4u) { product += dot(read_q(q_at, c), read_k(k_at, c)); }
        s = score(product, batch, head, query, first + lane.index, valid);
    }
    let greatest = workgroup_max(lane, s);
    let w = select(exp(s - greatest), 0.0, s == LOWEST);
    weights[lane.index] = w;
    let total = workgroup_sum(lane, w);
    // Columns in fours over the first invocations of each slice; a slice takes every slices-th key.
    let quads = (params.dim + 3u) / 4u;
    let slices = WORKGROUP / quads;
    let slice = lane.index / quads;
    let c = lane.index % quads * 4u;
    var sum = vec4<f32>();
    if slice < slices {
        for (var t = slice; t < count; t += slices) { sum += weights[t] * read_v(kv_start + (first + t) * params.dim, c); }
    }
    sums[lane.index] = sum;
    workgroupBarrier();
    let part = number;
    if lane.index < quads {
        for (var t = 1u; t < slices; t++) { sum += sums[t * quads + lane.index]; }
        sum = select(sum / total, vec4<f32>(), vec4<bool>(total == 0.0));
        for (var j = 0u; j < min(4u, params.dim - c); j++) { out[part * params.dim + c + j] = sum[j]; }
    }
    if lane.index == 0u { lse[part] = select(greatest + log(total), -infinity(), total == 0.0); }
}
