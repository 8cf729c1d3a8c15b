// The gradient of all parameters in one flat tensor, `gradient`: a workgroup's number says where it works.
struct Stretch { start: u32, at: u32, count: u32 }  // start and at in vectors of four, count in elements

fn per_lane() -> u32 { return params.per; }

fn stretch_of(block: u32) -> Stretch {
    let first = min(block * params.per * WORKGROUP, params.vectors);
    return Stretch(first, first, 4u * min(params.per * WORKGROUP, params.vectors - first));
}

// Its vector i.
fn gradient_at(here: Stretch, i: u32) -> vec4<f32> { return gradient[here.start + i]; }
