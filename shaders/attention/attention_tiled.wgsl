// out = softmax(scale·q·kᵀ + mask)·v per head, lse = its logarithm of summed exponentials; the score matrix is never stored.
// One workgroup of DOWN × ACROSS invocations per head and 8·DOWN queries, walking COLUMNS keys at a time with a running maximum and sum.

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> cache_length: array<i32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
//!include lib/tile_attention.wgsl
//!include lib/attention_tiles.wgsl

var<private> valid: u32;
var<private> q_start: u32;
var<private> kv_start: u32;

// Rows and columns that do not exist repeat the last one: they are masked, or never stored.
fn left_four(operand: u32, row: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    return read_q(q_start + min(row, params.q_len - 1u) * params.dim, c);
}

fn right_four(operand: u32, column: u32, c: u32) -> vec4<f32> {
    if !WHOLE && c >= params.dim { return vec4<f32>(); }
    let at = kv_start + min(column, max(valid, 1u) - 1u) * params.dim;
    if operand == 0u { return read_k(at, c); }
    return read_v(at, c);
}

fn masked_block(batch: u32, head: u32, row: u32, key: u32, s: mat4x4<f32>) -> mat4x4<f32> {
    let i = row + vec4<u32>(0u, 1u, 2u, 3u);
    return mat4x4<f32>(
        four_scores(s[0], batch, head, i, vec4<u32>(key), valid), four_scores(s[1], batch, head, i, vec4<u32>(key + 1u), valid),
        four_scores(s[2], batch, head, i, vec4<u32>(key + 2u), valid), four_scores(s[3], batch, head, i, vec4<u32>(key + 3u), valid));
}

fn greatest_of(a: vec4<f32>, m: mat4x4<f32>) -> vec4<f32> { return max(max(a, max(m[0], m[1])), max(m[2], m[3])); }

fn exp_block(m: mat4x4<f32>, greatest: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(exp(m[0] - greatest), exp(m[1] - greatest), exp(m[2] - greatest), exp(m[3] - greatest));
}

fn scaled(m: mat4x4<f32>, f: vec4<f32>) -> mat4x4<f32> { return mat4x4<f32>(f.x * m[0], f.y * m[1], f.z * m[2], f.w * m[3]); }

fn rescale(f_low: vec4<f32>, f_high: vec4<f32>) {
    low0 = scaled(low0, f_low);
    high0 = scaled(high0, f_high);
    if WIDTH > 4u * ACROSS { low1 = scaled(low1, f_low); high1 = scaled(high1, f_high); }
    if WIDTH > 8u * ACROSS { low2 = scaled(low2, f_low); high2 = scaled(high2, f_high); }
    if WIDTH > 12u * ACROSS { low3 = scaled(low3, f_low); high3 = scaled(high3, f_high); }
}

fn store(row: u32, c: u32, sums: mat4x4<f32>) {
    if c >= params.dim { return; }
    for (var i = 0u; i < 4u; i++) {
        if row + i >= params.q_len { return; }
        for (var j = 0u; j < min(4u, params.dim - c); j++) { out[q_start + (row + i) * params.dim + c + j] = sums[i][j]; }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
    let number = flat_group(group, groups);
    let tiles = (params.q_len + 8u * DOWN - 1u) / (8u * DOWN);
    let turn = turn_of(number, params.heads * params.batch, tiles);
    let head = turn.x % params.heads;
    let batch = turn.x / params.heads;
    if batch >= params.batch { return; }
    take_place(index);
    // With the causal mask later tiles see more keys: the longest work starts first.
    let first = (tiles - 1u - turn.y) * 8u * DOWN;
    q_start = (batch * params.heads + head) * params.q_len * params.dim;
    kv_start = (batch * params.kv_heads + head / (params.heads / params.kv_heads)) * params.k_len * params.dim;
    valid = valid_keys(batch);
    // Every query of the tile sees the keys below `all`, none sees one from `limit` on.
    let seen = first + 8u * DOWN + valid;
    let limit = select(valid, min(valid, select(0u, seen - params.q_len, seen > params.q_len)), CAUSAL);
    let all = select(valid, select(0u, first + valid + 1u - params.q_len, first + valid >= params.q_len), CAUSAL);
    let row = first + 4u * down;
    let row_high = row + 4u * DOWN;
    var greatest = vec4<f32>(BEGIN);
    var greatest_high = vec4<f32>(BEGIN);
    var total = vec4<f32>();
    var total_high = vec4<f32>();
    if limit > 0u { fetch_scores(0u, first, 0u, 0u); }
    for (var start = 0u; start < limit; start += COLUMNS) {
        clear_scores();
        for (var c = 0u; c < params.dim; c += SLICE) {
            put_scores();
            workgroupBarrier();
            if c + SLICE < params.dim { fetch_scores(0u, first, start, c + SLICE); } else { fetch_values(1u, start); }
            multiply_scores();
            workgroupBarrier();
        }
        if MASK != 0u || start + COLUMNS > all {
            low = masked_block(batch, head, row, start + 4u * across, low);
            high = masked_block(batch, head, row_high, start + 4u * across, high);
            if COLUMNS > 4u * ACROSS {
                low_too = masked_block(batch, head, row, start + 4u * (across + ACROSS), low_too);
                high_too = masked_block(batch, head, row_high, start + 4u * (across + ACROSS), high_too);
            }
        } else {
            low *= params.scale;
            high *= params.scale;
            if COLUMNS > 4u * ACROSS { low_too *= params.scale; high_too *= params.scale; }
        }
        // The greatest score of each row, through the left slice.
        var now = greatest_of(greatest, low);
        var now_high = greatest_of(greatest_high, high);
        if COLUMNS > 4u * ACROSS { now = greatest_of(now, low_too); now_high = greatest_of(now_high, high_too); }
        slices[across * QUADS + down] = now;
        slices[across * QUADS + down + DOWN] = now_high;
        workgroupBarrier();
        for (var t = 0u; t < ACROSS; t++) {
            now = max(now, slices[t * QUADS + down]);
            now_high = max(now_high, slices[t * QUADS + down + DOWN]);
        }
        let factor = exp(greatest - now);
        let factor_high = exp(greatest_high - now_high);
        greatest = now;
        greatest_high = now_high;
        low = exp_block(low, now);
        high = exp_block(high, now_high);
        total = total * factor + (low[0] + low[1] + low[2] + low[3]);
        total_high = total_high * factor_high + (high[0] + high[1] + high[2] + high[3]);
        if COLUMNS > 4u * ACROSS {
            low_too = exp_block(low_too, now);
            high_too = exp_block(high_too, now_high);
            total += low_too[0] + low_too[1] + low_too[2] + low_too[3];
            total_high += high_too[0] + high_too[1] + high_too[2] + high_too[3];
        }
        rescale(factor, factor_high);
        workgroupBarrier();
        for (var t = 0u; t < COLUMNS; t += SLICE) {
            put_values(t);
            workgroupBarrier();
            if t + SLICE < COLUMNS { fetch_values(1u, start + t + SLICE); } else { fetch_scores(0u, first, start + COLUMNS, 0u); }
            multiply_values();
            workgroupBarrier();
        }
    }
    slices[across * QUADS + down] = total;
    slices[across * QUADS + down + DOWN] = total_high;
    workgroupBarrier();
    total = vec4<f32>();
    total_high = vec4<f32>();
    for (var t = 0u; t < ACROSS; t++) {
        total += slices[t * QUADS + down];
        total_high += slices[t * QUADS + down + DOWN];
    }
    rescale(select(1.0 / total, vec4<f32>(), total == vec4<f32>()), select(1.0 / total_high, vec4<f32>(), total_high == vec4<f32>()));
    store(row, 4u * across, low0);
    store(row_high, 4u * across, high0);
    if WIDTH > 4u * ACROSS { store(row, 4u * (across + ACROSS), low1); store(row_high, 4u * (across + ACROSS), high1); }
    if WIDTH > 8u * ACROSS { store(row, 4u * (across + 2u * ACROSS), low2); store(row_high, 4u * (across + 2u * ACROSS), high2); }
    if WIDTH > 12u * ACROSS { store(row, 4u * (across + 3u * ACROSS), low3); store(row_high, 4u * (across + 3u * ACROSS), high3); }
    if across == 0u {
        let lse_start = (batch * params.heads + head) * params.q_len;
        for (var i = 0u; i < 4u; i++) {
            if row + i < params.q_len { lse[lse_start + row + i] = select(greatest[i] + log(total[i]), -infinity(), total[i] == 0.0); }
            if row_high + i < params.q_len {
                lse[lse_start + row_high + i] = select(greatest_high[i] + log(total_high[i]), -infinity(), total_high[i] == 0.0);
            }
        }
    }
}
