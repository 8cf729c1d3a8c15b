// What every update of flat parameters shares: where a workgroup works, the clipped gradient, the count of steps.
// The including file has the override WORKGROUP, the bindings `steps` (u32) and `partials`, and includes lib/gradient_one.wgsl
// or lib/gradient_many.wgsl, which say where the gradient lies and how many vectors of it an invocation takes.
override HAS_CLIP: bool = false;
override HAS_LIMIT: bool = false;
override CONTIGUOUS: u32 = 0;
//!include lib/float.wgsl
//!include lib/reduce.wgsl

// The gradient scaled by the global norm's factor and then kept within ±limit (HAS_CLIP); NaN stays NaN.
fn clipped(g: vec4<f32>, scale: f32, limit: f32) -> vec4<f32> {
    let scaled = g * scale;
    if !HAS_CLIP { return scaled; }
    let undefined = (bitcast<vec4<u32>>(scaled) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return select(clamp(scaled, vec4<f32>(-limit), vec4<f32>(limit)), scaled, undefined);
}

// min(1, max_norm / (√Σ partials + 1e-6)): every workgroup adds up the same few numbers in the same order.
fn norm_scale(lane: Lane, count: u32, max_norm: f32) -> f32 {
    if !HAS_LIMIT { return 1.0; }
    var total = partials[0];
    if count > 1u {
        total = 0.0;
        for (var i = lane.index; i < count; i += WORKGROUP) { total += partials[i]; }
        total = workgroup_sum(lane, total);
    }
    let length = sqrt(total);
    return select(min(1.0, max_norm / (length + 1e-6)), nan(), is_nan(length));
}

// The k-th vector of an invocation: neighbouring lanes take neighbouring ones, which GPUs join into wide loads, or
// (CONTIGUOUS) each lane takes a stretch, which suits a processor's cache.
fn vector_at(lane: Lane, k: u32) -> u32 {
    if CONTIGUOUS == 1u { return lane.index * per_lane() + k; }
    return k * WORKGROUP + lane.index;
}

// Each workgroup counts its own steps, so that none reads what another writes. All lanes have read theirs before.
fn count_step(lane: Lane, block: u32, step: u32) {
    workgroupBarrier();
    if lane.index == 0u { steps[block] = step; }
}
