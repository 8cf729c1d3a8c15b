// The gradient of attention towards q, k or v (constant OF): p = exp(s - lse), ds = scale·p·(g·vᵀ - delta); dq = ds·k, dk = dsᵀ·q, dv = pᵀ·g.
// One workgroup per head and 32 queries walking the keys (q), or per key head and 32 keys walking the queries of all heads of its group.

override OF: u32 = 0;  // 0: q; 1: k; 2: v
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
//!include lib/tile_attention_rows.wgsl

fn read_g(at: u32, c: u32) -> vec4<f32> {
    if VECTOR { return g[(at + c) >> 2u]; }
    var four = vec4<f32>();
    for (var j = 0u; j < min(4u, params.dim - c); j++) { four[j] = g[(at + c + j) >> 2u][(at + c + j) & 3u]; }
    return four;
}

fn operand(at: u32, c: u32) -> vec4<f32> {
    if c >= params.dim { return vec4<f32>(); }
    if OF == 0u { return read_k(at, c); }
    if OF == 1u { return read_q(at, c); }
    return read_g(at, c);
}

// Rows are what the workgroup owns, columns what it walks: q and k for the scores, g and v for the gradient of p.
fn row_score(at: u32, c: u32) -> vec4<f32> {
    if OF == 0u { return read_q(at, c); }
    return read_k(at, c);
}

fn column_score(at: u32, c: u32) -> vec4<f32> {
    if OF == 0u { return read_k(at, c); }
    return read_q(at, c);
}

fn row_gradient(at: u32, c: u32) -> vec4<f32> {
    if OF == 0u { return read_g(at, c); }
    return read_v(at, c);
}

fn column_gradient(at: u32, c: u32) -> vec4<f32> {
    if OF == 0u { return read_v(at, c); }
    return read_g(at, c);
}

var<private> s: mat4x4<f32>;   // a column of the matrix per column, its elements are the four rows
var<private> dp: mat4x4<f32>;

fn products(rows: vec4<u32>, columns: vec4<u32>) {
    s = mat4x4<f32>();
    dp = mat4x4<f32>();
    for (var c = 0u; c < params.dim; c += 4u) {
        let x = transpose(mat4x4<f32>(row_score(rows.x, c), row_score(rows.y, c), row_score(rows.z, c), row_score(rows.w, c)));
        s += mat4x4<f32>(x * column_score(columns.x, c), x * column_score(columns.y, c), x * column_score(columns.z, c), x * column_score(columns.w, c));
        if OF != 2u {
            let y = transpose(mat4x4<f32>(row_gradient(rows.x, c), row_gradient(rows.y, c), row_gradient(rows.z, c), row_gradient(rows.w, c)));
            dp += mat4x4<f32>(
                y * column_gradient(columns.x, c), y * column_gradient(columns.y, c), y * column_gradient(columns.z, c), y * column_gradient(columns.w, c));
        }
    }
}

// The weight of one pair: p for dv, ds for dq and dk.
fn weight(product: f32, gradient: f32, batch: u32, head: u32, i: u32, j: u32, valid: u32) -> f32 {
    let value = score(product, batch, head, i, j, valid);
    if value == LOWEST { return 0.0; }
    let stat = stats[(batch * params.heads + head) * params.q_len + i];
    let p = exp(value - stat.x);
    if OF == 2u { return p; }
    return params.scale * p * (gradient - stat.y);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let rows = select(params.k_len, params.q_len, OF == 0u);
    let row_heads = select(params.kv_heads, params.heads, OF == 0u);
    let tiles = (rows + SIDE - 1u) / SIDE;
    let number = flat_group(group, groups);
    let row_head = number / tiles % row_heads;
    let batch = number / tiles / row_heads;
    if batch >= params.batch { return; }
    let down = lane / 8u;
    let across = lane % 8u;
    let first = number % tiles * SIDE;
    let row = first + down * 4u;
    let row_start = (batch * row_heads + row_head) * rows * params.dim;
    let row_at = row_start + params.dim * min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(rows - 1u));
    let valid = valid_keys(batch);
    let shared_by = params.heads / params.kv_heads;
    // Columns from `begin` to `end`: keys that the tile's last query sees, or queries that see the tile's first key.
    var begin = 0u;
    var end = valid;
    var heads = 1u;
    if OF == 0u {
        let seen = first + SIDE + valid;
        if CAUSAL { end = min(valid, select(0u, seen - params.q_len, seen > params.q_len)); }
    } else {
        end = select(0u, params.q_len, first < valid);
        heads = shared_by;
        if CAUSAL && first + params.q_len > valid { begin = (first + params.q_len - valid) / SIDE * SIDE; }
    }
    let column_last = select(params.q_len, params.k_len, OF == 0u) - 1u;
    for (var turn = 0u; turn < heads; turn++) {
        let head = select(row_head * shared_by + turn, row_head, OF == 0u);
        let kv_start = (batch * params.kv_heads + row_head / shared_by) * params.k_len * params.dim;
        let column_start = select((batch * params.heads + head) * params.q_len * params.dim, kv_start, OF == 0u);
        for (var start = begin; start < end; start += SIDE) {
            let column = start + across + vec4<u32>(0u, 8u, 16u, 24u);
            products(row_at, column_start + params.dim * min(column, vec4<u32>(column_last)));
            for (var n = 0u; n < 4u; n++) {
                var w = vec4<f32>();
                for (var m = 0u; m < 4u; m++) {
                    if OF == 0u {
                        w[m] = weight(s[n][m], dp[n][m], batch, head, row + m, column[n], valid);
                    } else {
                        w[m] = weight(s[n][m], dp[n][m], batch, head, column[n], row + m, valid);
                    }
                }
                weights[(across + 8u * n) * 8u + down] = w;
            }
            workgroupBarrier();
            for (var t = 0u; t < min(SIDE, end - start); t++) {
                accumulate(weights[t * 8u + down], column_start + (start + t) * params.dim, across * 4u);
            }
            workgroupBarrier();
        }
    }
    store_all(row_start, row, rows, across * 4u);
}
