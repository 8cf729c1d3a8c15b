// out = the gradient of attention towards q: ds·k with ds = scale·p·(g·vᵀ - delta) and p = exp(scale·q·kᵀ + mask - lse).
// One workgroup of DOWN × ACROSS invocations per head and 8·DOWN queries, walking COLUMNS keys at a time.

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> stats: array<vec2<f32>>;  // lse and delta of each query
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read> cache_length: array<i32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;
//!include lib/tile_attention.wgsl
//!include lib/attention_tiles.wgsl
//!include lib/attention_weights.wgsl

var<private> valid: u32;
var<private> q_start: u32;
var<private> kv_start: u32;

// Rows and columns that do not exist repeat the last one: their weights are 0, or their sums never stored.
fn left_four(operand: u32, row: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    let at = q_start + min(row, params.q_len - 1u) * params.dim;
    if operand == SCORES { return read_q(at, c); }
    return read_g(at, c);
}

fn right_four(operand: u32, column: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    let at = kv_start + min(column, max(valid, 1u) - 1u) * params.dim;
    if operand == SCORES { return read_k(at, c); }
    return read_v(at, c);
}

fn stat_rows(row: u32) -> mat4x2<f32> { return mat4x2<f32>(stat(row), stat(row + 1u), stat(row + 2u), stat(row + 3u)); }

// The scores of four columns from `key` on, less lse.
fn exponents(products: mat4x4<f32>, row: u32, key: u32, lse: vec4<f32>, whole: bool) -> mat4x4<f32> {
    if whole { return mat4x4<f32>(params.scale * products[0] - lse, params.scale * products[1] - lse, params.scale * products[2] - lse, params.scale * products[3] - lse); }
    let i = row + vec4<u32>(0u, 1u, 2u, 3u);
    return mat4x4<f32>(
        four_scores(products[0], batch, head, i, vec4<u32>(key), valid) - lse,
        four_scores(products[1], batch, head, i, vec4<u32>(key + 1u), valid) - lse,
        four_scores(products[2], batch, head, i, vec4<u32>(key + 2u), valid) - lse,
        four_scores(products[3], batch, head, i, vec4<u32>(key + 3u), valid) - lse);
}

// scale·p·(dp - delta)
fn gradient(p: mat4x4<f32>, dp: mat4x4<f32>, delta: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        params.scale * p[0] * (dp[0] - delta), params.scale * p[1] * (dp[1] - delta),
        params.scale * p[2] * (dp[2] - delta), params.scale * p[3] * (dp[3] - delta));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
    let number = flat_group(group, groups);
    let tiles = (params.q_len + 8u * DOWN - 1u) / (8u * DOWN);
    let turn = turn_of(number, params.heads * params.batch, tiles);
    head = turn.x % params.heads;
    batch = turn.x / params.heads;
    if batch >= params.batch { return; }
    take_place(index);
    // With the causal mask later tiles see more keys: the longest work starts first.
    let first = (tiles - 1u - turn.y) * 8u * DOWN;
    q_start = (batch * params.heads + head) * params.q_len * params.dim;
    kv_start = (batch * params.kv_heads + head / (params.heads / params.kv_heads)) * params.k_len * params.dim;
    valid = valid_keys(batch);
    let row = first + 4u * down;
    let row_high = row + 4u * DOWN;
    let of_row = transpose(stat_rows(row));
    let of_row_high = transpose(stat_rows(row_high));
    // Every query of the tile sees the keys below `all`, none sees one from `limit` on.
    let all = keys_below(first, valid);
    let limit = keys_below(first + 8u * DOWN - 1u, valid);
    let key = 4u * across;
    if limit > 0u { fetch_scores(SCORES, first, 0u, 0u); }
    for (var start = 0u; start < limit; start += COLUMNS) {
        clear_scores();
        for (var c = 0u; c < params.dim; c += SLICE) {
            put_scores();
            workgroupBarrier();
            if c + SLICE < params.dim { fetch_scores(SCORES, first, start, c + SLICE); } else { fetch_scores(GRADIENTS, first, start, 0u); }
            multiply_scores();
            workgroupBarrier();
        }
        let whole = MASK == 0u && start + COLUMNS <= all;
        let p_low = exp_block(exponents(low, row, start + key, of_row[0], whole));
        let p_high = exp_block(exponents(high, row_high, start + key, of_row_high[0], whole));
        clear_scores();
        for (var c = 0u; c < params.dim; c += SLICE) {
            put_scores();
            workgroupBarrier();
            if c + SLICE < params.dim { fetch_scores(GRADIENTS, first, start, c + SLICE); } else { fetch_values(SCORES, start); }
            multiply_scores();
            workgroupBarrier();
        }
        low = gradient(p_low, low, of_row[1]);
        high = gradient(p_high, high, of_row_high[1]);
        for (var t = 0u; t < COLUMNS; t += SLICE) {
            put_values(t);
            workgroupBarrier();
            if t + SLICE < COLUMNS { fetch_values(SCORES, start + t + SLICE); } else { fetch_scores(SCORES, first, start + COLUMNS, 0u); }
            multiply_values();
            workgroupBarrier();
        }
    }
    store(row, 4u * across, low0);
    store(row_high, 4u * across, high0);
    if WIDTH > 4u * ACROSS { store(row, 4u * (across + ACROSS), low1); store(row_high, 4u * (across + ACROSS), high1); }
}

fn store(row: u32, c: u32, sums: mat4x4<f32>) {
    if c >= params.dim { return; }
    for (var i = 0u; i < 4u; i++) {
        if row + i >= params.q_len { return; }
        for (var j = 0u; j < min(4u, params.dim - c); j++) { out[q_start + (row + i) * params.dim + c + j] = sums[i][j]; }
    }
}
