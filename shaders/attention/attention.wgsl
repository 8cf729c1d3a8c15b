// out = softmax(scale·q·kᵀ + mask)·v per head, lse = its logarithm of summed exponentials; the score matrix is never stored.
// One workgroup per head and 32 queries, walking the keys 32 at a time with a running maximum and sum.

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> cache_length: array<i32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
//!include lib/tile_attention.wgsl
//!include lib/tile_attention_rows.wgsl

// A value of 4 rows from each of the 8 invocations that share them: [invocation][row / 4].
var<workgroup> shared_rows: array<vec4<f32>, 64>;

fn operand(at: u32, c: u32) -> vec4<f32> {
    if c >= params.dim { return vec4<f32>(); }
    return read_v(at, c);
}

// Products of four queries (from `row`) with one key.
fn products(q_at: vec4<u32>, k_at: vec4<u32>) -> mat4x4<f32> {
    var s = mat4x4<f32>();
    for (var c = 0u; c < params.dim; c += 4u) {
        let x = transpose(mat4x4<f32>(read_q(q_at.x, c), read_q(q_at.y, c), read_q(q_at.z, c), read_q(q_at.w, c)));
        let y0 = read_k(k_at.x, c);
        let y1 = read_k(k_at.y, c);
        let y2 = read_k(k_at.z, c);
        let y3 = read_k(k_at.w, c);
        s += mat4x4<f32>(x * y0, x * y1, x * y2, x * y3);
    }
    return s;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tiles = (params.q_len + SIDE - 1u) / SIDE;
    let number = flat_group(group, groups);
    let head = number / tiles % params.heads;
    let batch = number / tiles / params.heads;
    if batch >= params.batch { return; }
    let down = lane / 8u;
    let across = lane % 8u;
    let first = number % tiles * SIDE;
    let row = first + down * 4u;
    let q_start = (batch * params.heads + head) * params.q_len * params.dim;
    let kv_start = (batch * params.kv_heads + head / (params.heads / params.kv_heads)) * params.k_len * params.dim;
    let q_at = q_start + params.dim * min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.q_len - 1u));
    let valid = valid_keys(batch);
    // With the causal mask the last query of the tile sees keys below `limit` only.
    let seen = first + SIDE + valid;
    let limit = select(valid, min(valid, select(0u, seen - params.q_len, seen > params.q_len)), CAUSAL);
    var greatest = vec4<f32>(LOWEST);
    var total = vec4<f32>();
    for (var start = 0u; start < limit; start += SIDE) {
        let key = start + across + vec4<u32>(0u, 8u, 16u, 24u);
        var s = products(q_at, kv_start + params.dim * min(key, vec4<u32>(params.k_len - 1u)));
        for (var j = 0u; j < 4u; j++) {
            for (var i = 0u; i < 4u; i++) { s[j][i] = score(s[j][i], batch, head, row + i, key[j], valid); }
        }
        shared_rows[across * 8u + down] = max(max(s[0], s[1]), max(s[2], s[3]));
        workgroupBarrier();
        var now = greatest;
        for (var t = 0u; t < 8u; t++) { now = max(now, shared_rows[t * 8u + down]); }
        let factor = exp(greatest - now);
        total *= factor;
        for (var j = 0u; j < 4u; j++) {
            let w = select(exp(s[j] - now), vec4<f32>(), s[j] == vec4<f32>(LOWEST));
            weights[(across + 8u * j) * 8u + down] = w;
            total += w;
        }
        rescale(factor);
        greatest = now;
        workgroupBarrier();
        for (var t = 0u; t < min(SIDE, limit - start); t++) {
            accumulate(weights[t * 8u + down], kv_start + (start + t) * params.dim, across * 4u);
        }
    }
    workgroupBarrier();
    shared_rows[across * 8u + down] = total;
    workgroupBarrier();
    total = vec4<f32>();
    for (var t = 0u; t < 8u; t++) { total += shared_rows[t * 8u + down]; }
    rescale(select(1.0 / total, vec4<f32>(), total == vec4<f32>()));
    store_all(q_start, row, params.q_len, across * 4u);
    if across == 0u {
        for (var i = 0u; i < 4u; i++) {
            if row + i < params.q_len {
                lse[(batch * params.heads + head) * params.q_len + row + i] = select(greatest[i] + log(total[i]), -infinity(), total[i] == 0.0);
            }
        }
    }
}
