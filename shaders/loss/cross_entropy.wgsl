// loss[n] = ln Σ e^(x_n) - x_n[label_n]; gradient[n] = (softmax(x_n) - onehot(label_n)) · scale. A bad label gives NaN.
// One workgroup per row; each lane strides over the classes.

override WORKGROUP: u32 = 256;
//!include lib/index.wgsl
//!include lib/float.wgsl
//!include lib/reduce.wgsl

struct Params { rows: u32, classes: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, lane: Lane) {
    let row = flat_group(group, groups);
    if row >= params.rows { return; }  // the same for the whole workgroup
    let start = row * params.classes;
    var greatest = -infinity();
    for (var i = lane.index; i < params.classes; i += WORKGROUP) { greatest = max(greatest, logits[start + i]); }
    greatest = workgroup_max(lane, greatest);
    var total = 0.0;
    for (var i = lane.index; i < params.classes; i += WORKGROUP) { total += exp(logits[start + i] - greatest); }
    total = workgroup_sum(lane, total);

    let label = bitcast<u32>(labels[row]);  // negative ones become large
    let valid = label < params.classes;
    for (var i = lane.index; i < params.classes; i += WORKGROUP) {
        let p = exp(logits[start + i] - greatest) / total;
        gradient[start + i] = select(nan(), (p - select(0.0, 1.0, i == label)) * params.scale, valid);
    }
    if lane.index == 0u {
        let at = start + select(0u, label, valid);
        loss[row] = select(nan(), log(total) - (logits[at] - greatest), valid);
    }
}
