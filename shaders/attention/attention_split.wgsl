// part_i, lse_i = attention over every parts-th chunk of the keys alone, per query, for few queries and many keys; attention_merge joins them.
// One workgroup per part, key head and ROWS of the queries that share it: 8 invocations per key for the scores, one per four elements for the sums.

override WORKGROUP: u32 = 128;
override ROWS: u32 = 2;     // up to 4: queries times heads that share a key head
override QUADS: u32 = 32;   // ceil(dim / 4)
override SLOTS: u32 = WORKGROUP / 8u;  // keys at a time; a chunk is four times as many
override ALL_QUADS: u32 = ROWS * QUADS;
override ALL_LANES: u32 = ROWS * WORKGROUP;
override ALL_SLOTS: u32 = ROWS * SLOTS;
@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> cache_length: array<i32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
//!include lib/tile_attention.wgsl

var<workgroup> queries: array<vec4<f32>, ALL_QUADS>;
var<workgroup> scratch: array<vec4<f32>, ALL_LANES>;  // products of each invocation, at the end sums of each
var<workgroup> totals: array<vec4<f32>, WORKGROUP>;
// Four keys per vec4, SLOTS apart: component p of slot s is key p·SLOTS + s of the chunk.
var<workgroup> scores: array<vec4<f32>, ALL_SLOTS>;
var<workgroup> weights: array<vec4<f32>, ALL_SLOTS>;

var<private> kv_start: u32;
var<private> last: u32;  // the last valid key

fn key_four(key: u32, quad: u32) -> vec4<f32> { return read_k(kv_start + min(key, last) * params.dim, 4u * quad); }

// Four keys, SLOTS apart.
fn four_keys(key: u32, quad: u32) -> mat4x4<f32> {
    return mat4x4<f32>(key_four(key, quad), key_four(key + SLOTS, quad), key_four(key + 2u * SLOTS, quad), key_four(key + 3u * SLOTS, quad));
}

// Products of four keys with each row.
var<private> row0: vec4<f32>;
var<private> row1: vec4<f32>;
var<private> row2: vec4<f32>;
var<private> row3: vec4<f32>;

fn add_products(quad: u32, keys: mat4x4<f32>) {
    row0 += queries[quad] * keys;
    if ROWS > 1u { row1 += queries[QUADS + quad] * keys; }
    if ROWS > 2u { row2 += queries[2u * QUADS + quad] * keys; row3 += queries[3u * QUADS + quad] * keys; }
}

fn value_four(key: u32, quad: u32) -> vec4<f32> { return read_v(kv_start + min(key, last) * params.dim, 4u * quad); }

// Values of four keys, `stride` apart.
fn four_values(key: u32, stride: u32, quad: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        value_four(key, quad), value_four(key + stride, quad), value_four(key + 2u * stride, quad), value_four(key + 3u * stride, quad));
}

fn weight(row: u32, key: u32) -> f32 {
    if key >= 4u * SLOTS { return 0.0; }
    return weights[row * SLOTS + key % SLOTS][key / SLOTS];
}

fn four_weights(row: u32, key: u32, stride: u32) -> vec4<f32> {
    return vec4<f32>(weight(row, key), weight(row, key + stride), weight(row, key + 2u * stride), weight(row, key + 3u * stride));
}

fn greatest_of(row: u32, before: f32) -> f32 {
    var four = vec4<f32>(before);
    for (var s = 0u; s < SLOTS; s++) { four = max(four, scores[row * SLOTS + s]); }
    return max(max(four.x, four.y), max(four.z, four.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let rows = params.heads / params.kv_heads * params.q_len;  // that share a key head, one behind the other in q
    let blocks = (rows + ROWS - 1u) / ROWS;
    let number = group.z * groups.y + group.y;
    let kv_head = number / blocks % params.kv_heads;
    let batch = number / blocks / params.kv_heads;
    if batch >= params.batch { return; }
    let row = number % blocks * ROWS;
    let row_start = (batch * params.kv_heads + kv_head) * rows + row;
    kv_start = (batch * params.kv_heads + kv_head) * params.k_len * params.dim;
    let valid = valid_keys(batch);
    last = max(valid, 1u) - 1u;
    for (var n = lane; n < ALL_QUADS; n += WORKGROUP) {
        queries[n] = read_q((row_start + min(n / QUADS, rows - row - 1u)) * params.dim, n % QUADS * 4u);
    }
    let slot = lane / 8u;
    let slices = WORKGROUP / QUADS;
    let slice = lane / QUADS;
    let quad = lane % QUADS;
    var greatest = vec4<f32>(BEGIN);
    var total = vec4<f32>();
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    workgroupBarrier();
    for (var first = group.x * 4u * SLOTS; first < valid; first += groups.x * 4u * SLOTS) {
        row0 = vec4<f32>();
        row1 = vec4<f32>();
        row2 = vec4<f32>();
        row3 = vec4<f32>();
        for (var c = lane % 8u; c < QUADS; c += 16u) {
            let keys = four_keys(first + slot, c);
            var more = mat4x4<f32>();
            if c + 8u < QUADS { more = four_keys(first + slot, c + 8u); }
            add_products(c, keys);
            if c + 8u < QUADS { add_products(c + 8u, more); }
        }
        scratch[lane] = row0;
        if ROWS > 1u { scratch[WORKGROUP + lane] = row1; }
        if ROWS > 2u { scratch[2u * WORKGROUP + lane] = row2; scratch[3u * WORKGROUP + lane] = row3; }
        // The values are on their way while the weights are found.
        var values = four_values(first + slice, slices, quad);
        var next = four_values(first + slice + 4u * slices, slices, quad);
        workgroupBarrier();
        for (var n = lane; n < ALL_SLOTS; n += WORKGROUP) {
            var products = vec4<f32>();
            for (var t = 0u; t < 8u; t++) { products += scratch[n * 8u + ((t + n) & 7u)]; }
            let at = row + n / SLOTS;
            let head = kv_head * (params.heads / params.kv_heads) + at / params.q_len;
            let keys = first + n % SLOTS + SLOTS * vec4<u32>(0u, 1u, 2u, 3u);
            scores[n] = four_scores(products, batch, min(head, params.heads - 1u), vec4<u32>(at % params.q_len), keys, valid);
        }
        workgroupBarrier();
        var now = vec4<f32>(greatest_of(0u, greatest.x), BEGIN, BEGIN, BEGIN);
        if ROWS > 1u { now.y = greatest_of(1u, greatest.y); }
        if ROWS > 2u { now.z = greatest_of(2u, greatest.z); now.w = greatest_of(3u, greatest.w); }
        for (var n = lane; n < ALL_SLOTS; n += WORKGROUP) { weights[n] = exp(scores[n] - now[n / SLOTS]); }
        let factor = exp(greatest - now);
        greatest = now;
        total *= factor;
        sum0 *= factor.x;
        sum1 *= factor.y;
        sum2 *= factor.z;
        sum3 *= factor.w;
        workgroupBarrier();
        for (var t = slice; t < 4u * SLOTS; t += 4u * slices) {
            let ahead = four_values(first + t + 8u * slices, slices, quad);
            let w0 = four_weights(0u, t, slices);
            total.x += dot(w0, vec4<f32>(1.0));
            sum0 += values * w0;
            if ROWS > 1u {
                let w1 = four_weights(1u, t, slices);
                total.y += dot(w1, vec4<f32>(1.0));
                sum1 += values * w1;
            }
            if ROWS > 2u {
                let w2 = four_weights(2u, t, slices);
                let w3 = four_weights(3u, t, slices);
                total.z += dot(w2, vec4<f32>(1.0));
                total.w += dot(w3, vec4<f32>(1.0));
                sum2 += values * w2;
                sum3 += values * w3;
            }
            values = next;
            next = ahead;
        }
    }
    workgroupBarrier();
    scratch[lane] = sum0;
    if ROWS > 1u { scratch[WORKGROUP + lane] = sum1; }
    if ROWS > 2u { scratch[2u * WORKGROUP + lane] = sum2; scratch[3u * WORKGROUP + lane] = sum3; }
    totals[lane] = total;
    workgroupBarrier();
    for (var n = lane; n < ALL_QUADS; n += WORKGROUP) {
        let r = n / QUADS;
        if row + r >= rows { break; }
        let c = n % QUADS;
        var sum = vec4<f32>();
        var all = 0.0;
        for (var t = 0u; t < slices; t++) {
            sum += scratch[r * WORKGROUP + t * QUADS + c];
            all += totals[t * QUADS + c][r];
        }
        sum = select(sum / all, vec4<f32>(), vec4<bool>(all == 0.0));
        let part = (row_start + r) * groups.x + group.x;
        for (var j = 0u; j < min(4u, params.dim - 4u * c); j++) { out[part * params.dim + 4u * c + j] = sum[j]; }
        if c == 0u { lse[part] = select(greatest[r] + log(all), -infinity(), all == 0.0); }
    }
}
