// Mean and Σ (v - mean)² of values that come one by one or in sets: (how many, mean, Σ (v - mean)²).
// Sources: B. P. Welford, 1962; T. F. Chan, G. H. Golub, R. J. LeVeque, 1983.
alias Moments = vec3<f32>;

fn merge_moments(a: Moments, b: Moments) -> Moments {
    let count = a.x + b.x;
    if count == 0.0 { return a; }
    let apart = b.y - a.y;
    let share = b.x / count;
    return Moments(count, a.y + apart * share, a.z + b.z + apart * apart * a.x * share);
}

fn one_more(a: Moments, v: f32) -> Moments {
    let apart = v - a.y;
    let mean = a.y + apart / (a.x + 1.0);
    return Moments(a.x + 1.0, mean, a.z + apart * (v - mean));
}

fn four_more(a: Moments, v: vec4<f32>) -> Moments {
    let mean = 0.25 * ((v.x + v.y) + (v.z + v.w));
    let d = v - mean;
    return merge_moments(a, Moments(4.0, mean, dot(d, d)));
}
