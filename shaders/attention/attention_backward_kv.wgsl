// out = dk and dv, dk = dsᵀ·q and dv = pᵀ·g with ds = scale·p·(g·vᵀ - delta) and p = exp(scale·q·kᵀ + mask - lse), summed over the heads of a group.
// One workgroup of DOWN × ACROSS invocations per key head and 8·DOWN keys, walking COLUMNS queries at a time, head by head.

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> stats: array<vec2<f32>>;  // lse and delta of each query
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read> cache_length: array<i32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;  // dk, then dv
@group(0) @binding(8) var<uniform> params: Params;
//!include lib/tile_attention.wgsl
//!include lib/attention_tiles.wgsl
//!include lib/attention_weights.wgsl

var<private> valid: u32;
var<private> q_start: u32;
var<private> kv_start: u32;

// Rows and columns that do not exist repeat the last one: their weights are 0.
fn left_four(operand: u32, row: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    let at = kv_start + min(row, max(valid, 1u) - 1u) * params.dim;
    if operand == SCORES { return read_k(at, c); }
    return read_v(at, c);
}

fn right_four(operand: u32, column: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    let at = q_start + min(column, params.q_len - 1u) * params.dim;
    if operand == SCORES { return read_q(at, c); }
    return read_g(at, c);
}

// The scores of four columns, whose lse are given, less these.
fn exponents(products: mat4x4<f32>, row: u32, query: u32, lse: vec4<f32>, whole: bool) -> mat4x4<f32> {
    if whole { return mat4x4<f32>(params.scale * products[0] - lse.x, params.scale * products[1] - lse.y, params.scale * products[2] - lse.z, params.scale * products[3] - lse.w); }
    let j = row + vec4<u32>(0u, 1u, 2u, 3u);
    return mat4x4<f32>(
        four_scores(products[0], batch, head, vec4<u32>(query), j, valid) - lse.x,
        four_scores(products[1], batch, head, vec4<u32>(query + 1u), j, valid) - lse.y,
        four_scores(products[2], batch, head, vec4<u32>(query + 2u), j, valid) - lse.z,
        four_scores(products[3], batch, head, vec4<u32>(query + 3u), j, valid) - lse.w);
}

// scale·p·(dp - delta)
fn gradient(p: mat4x4<f32>, dp: mat4x4<f32>, delta: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        params.scale * p[0] * (dp[0] - delta.x), params.scale * p[1] * (dp[1] - delta.y),
        params.scale * p[2] * (dp[2] - delta.z), params.scale * p[3] * (dp[3] - delta.w));
}

// The sums of dv; those of dk are the ones of the tile.
var<private> v_low0: mat4x4<f32>;
var<private> v_low1: mat4x4<f32>;
var<private> v_high0: mat4x4<f32>;
var<private> v_high1: mat4x4<f32>;

fn dv_step(n: u32) {
    let w_low = slices[n * QUADS + apart(n, down)];
    let w_high = slices[n * QUADS + apart(n, down + DOWN)];
    let at = LEFT + n * (WIDTH / 4u) + across;
    let y0 = slices[at];
    v_low0 += outer(w_low, y0);
    v_high0 += outer(w_high, y0);
    if WIDTH > 4u * ACROSS {
        let y1 = slices[at + ACROSS];
        v_low1 += outer(w_low, y1);
        v_high1 += outer(w_high, y1);
    }
}

fn multiply_dv() {
    for (var n = 0u; n < SLICE; n += 8u) {
        dv_step(n); dv_step(n + 1u); dv_step(n + 2u); dv_step(n + 3u);
        dv_step(n + 4u); dv_step(n + 5u); dv_step(n + 6u); dv_step(n + 7u);
    }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
    let number = flat_group(group, groups);
    let tiles = (params.k_len + 8u * DOWN - 1u) / (8u * DOWN);
    // With the causal mask earlier tiles are seen by more queries: the longest work starts first.
    let place = turn_of(number, params.kv_heads * params.batch, tiles);
    let kv_head = place.x % params.kv_heads;
    batch = place.x / params.kv_heads;
    if batch >= params.batch { return; }
    take_place(index);
    let first = place.y * 8u * DOWN;
    kv_start = (batch * params.kv_heads + kv_head) * params.k_len * params.dim;
    valid = valid_keys(batch);
    let row = first + 4u * down;
    let row_high = row + 4u * DOWN;
    let query = 4u * across;
    let sharing = params.heads / params.kv_heads;
    // No query before `begin` sees the tile's first key, each one from `all` on sees its last.
    var begin = 0u;
    var all = 0u;
    if CAUSAL {
        let ahead = first + params.q_len;
        begin = select(0u, ahead - valid, ahead > valid) / COLUMNS * COLUMNS;
        all = select(0u, ahead + 8u * DOWN - 1u - valid, ahead + 8u * DOWN - 1u > valid);
    }
    if first + 8u * DOWN > valid { all = params.q_len; }
    if first >= valid { begin = params.q_len; }
    for (var turn = 0u; turn < sharing; turn++) {
        head = kv_head * sharing + turn;
        q_start = (batch * params.heads + head) * params.q_len * params.dim;
        if begin < params.q_len { fetch_scores(SCORES, first, begin, 0u); }
        for (var start = begin; start < params.q_len; start += COLUMNS) {
            let of_query = transpose(mat4x2<f32>(
                stat(start + query), stat(start + query + 1u), stat(start + query + 2u), stat(start + query + 3u)));
            clear_scores();
            for (var c = 0u; c < params.dim; c += SLICE) {
                put_scores();
                workgroupBarrier();
                if c + SLICE < params.dim { fetch_scores(SCORES, first, start, c + SLICE); } else { fetch_values(GRADIENTS, start); }
                multiply_scores();
                workgroupBarrier();
            }
            let whole = MASK == 0u && start >= all;
            low = exp_block(exponents(low, row, start + query, of_query[0], whole));
            high = exp_block(exponents(high, row_high, start + query, of_query[0], whole));
            let p_low = low;
            let p_high = high;
            for (var t = 0u; t < COLUMNS; t += SLICE) {
                put_values(t);
                workgroupBarrier();
                if t + SLICE < COLUMNS { fetch_values(GRADIENTS, start + t + SLICE); } else { fetch_scores(GRADIENTS, first, start, 0u); }
                multiply_dv();
                workgroupBarrier();
            }
            clear_scores();
            for (var c = 0u; c < params.dim; c += SLICE) {
                put_scores();
                workgroupBarrier();
                if c + SLICE < params.dim { fetch_scores(GRADIENTS, first, start, c + SLICE); } else { fetch_values(SCORES, start); }
                multiply_scores();
                workgroupBarrier();
            }
            low = gradient(p_low, low, of_query[1]);
            high = gradient(p_high, high, of_query[1]);
            for (var t = 0u; t < COLUMNS; t += SLICE) {
                put_values(t);
                workgroupBarrier();
                if t + SLICE < COLUMNS { fetch_values(SCORES, start + t + SLICE); } else { fetch_scores(SCORES, first, start + COLUMNS, 0u); }
                multiply_values();
                workgroupBarrier();
            }
        }
    }
    store(row, 4u * across, low0, v_low0);
    store(row_high, 4u * across, high0, v_high0);
    if WIDTH > 4u * ACROSS {
        store(row, 4u * (across + ACROSS), low1, v_low1);
        store(row_high, 4u * (across + ACROSS), high1, v_high1);
    }
}

fn store(row: u32, c: u32, of_k: mat4x4<f32>, of_v: mat4x4<f32>) {
    if c >= params.dim { return; }
    for (var i = 0u; i < 4u; i++) {
        if row + i >= params.k_len { return; }
        let at = kv_start + (row + i) * params.dim + c;
        for (var j = 0u; j < min(4u, params.dim - c); j++) {
            out[at + j] = of_k[i][j];
            out[at + j + params.batch * params.kv_heads * params.k_len * params.dim] = of_v[i][j];
        }
    }
}
