// The weights p of attention computed again from the logsumexp of each query, for its gradients.
// The including file has g: array<vec4<f32>>, stats: array<vec2<f32>> (lse and delta of each query) and the tiles' functions.
const SCORES = 0u;     // operands: q and k,
const GRADIENTS = 1u;  // g and v

// Stands for the lse of a query without keys: each of its weights is exp(score - 2e37) = 0.
const NO_KEYS = 2e37;

var<private> batch: u32;
var<private> head: u32;

fn read_g(at: u32, c: u32) -> vec4<f32> {
    if VECTOR { return g[(at + c) >> 2u]; }
    var four = vec4<f32>();
    for (var j = 0u; j < min(4u, params.dim - c); j++) { four[j] = g[(at + c + j) >> 2u][(at + c + j) & 3u]; }
    return four;
}

// lse and delta of one query.
fn stat(query: u32) -> vec2<f32> {
    if query >= params.q_len { return vec2<f32>(NO_KEYS, 0.0); }
    let found = stats[(batch * params.heads + head) * params.q_len + query];
    return vec2<f32>(select(found.x, NO_KEYS, found.x < BEGIN), found.y);
}

// The keys below this number are those that the query may see by its place.
fn keys_below(query: u32, valid: u32) -> u32 {
    if !CAUSAL { return valid; }
    let end = query + 1u + valid;
    return min(valid, select(0u, end - params.q_len, end > params.q_len));
}

fn exp_block(m: mat4x4<f32>) -> mat4x4<f32> { return mat4x4<f32>(exp(m[0]), exp(m[1]), exp(m[2]), exp(m[3])); }
