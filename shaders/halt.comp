#version 450
#extension GL_GOOGLE_include_directive : require
// One row of a batch after a segment: whether it ends, the halting head's losses and gradient; nyx/ops/halt.py.
// variant :
// variant lane: -DLANE
#include "row.glsl"
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer Loss { float loss[]; };
layout(std430, binding = 2) readonly buffer Correct { float correct[]; };
layout(std430, binding = 3) readonly buffer Targets { int targets[]; };
layout(std430, binding = 4) readonly buffer Norm { float norm[]; };
layout(std430, binding = 5) readonly buffer Progress { float progress[]; };
layout(std430, binding = 6) readonly buffer Least { float least[]; };
layout(std430, binding = 7) readonly buffer QNext { float q_next[]; };
layout(std430, binding = 8) writeonly buffer Dq { float dq[]; };
layout(std430, binding = 9) writeonly buffer Report { float report[]; };
layout(push_constant) uniform Push {
    uint q_at, loss_at, correct_at, targets_at, norm_at, progress_at, least_at, q_next_at, dq_at, report_at;
    uint rows, cols, has_next, max_steps;
    float accuracy;
};

float sigmoid(float x) { return 1.0 / (1.0 + exp(-x)); }

// log(1 + e) for e in (0, 1]: a series where 1 + e would lose the digits of e.
float log1p(float e) { return e < 1e-3 ? e * (1.0 - e * (0.5 - e / 3.0)) : log(1.0 + e); }

float cross_entropy(float z, float wanted) { return max(z, 0.0) - z * wanted + log1p(exp(-abs(z))); }

void main() {
    uint row = row_index(), lane = row_lane(), from = row * cols;
    if (row >= rows) return;
    float nats = 0.0, right = 0.0, n = 0.0;
    for (uint i = from + lane; i < from + cols; i += ROW_LANES) {
        nats += loss[loss_at + i];
        right += correct[correct_at + i];
        n += float(targets[targets_at + i] >= 0);
        if (i + 1u == from + cols) break;
        dq[dq_at + 2u * i] = 0.0;
        dq[dq_at + 2u * i + 1u] = 0.0;
    }
    nats = row_sum(nats), right = row_sum(right), n = row_sum(n);
    if (lane != 0u) return;

    uint end = 2u * (from + cols - 1u);  // the last position
    float segment = progress[progress_at + row] + 1.0, halt = q[q_at + end], go_on = q[q_at + end + 1u];
    bool counts = n > 0.0, last = segment >= float(max_steps);
    bool ends = last || (halt > go_on && segment >= least[least_at + row]);
    float goal = float(right + 1e-3 >= accuracy * n), scale = 0.5 * norm[norm_at], value = 0.0;
    bool next = counts && has_next != 0u;
    if (next) {
        float next_halt = q_next[q_next_at + end], next_go_on = q_next[q_next_at + end + 1u];
        value = sigmoid(last ? next_halt : max(next_halt, next_go_on));
    }
    dq[dq_at + end] = counts ? scale * (sigmoid(halt) - goal) : 0.0;
    dq[dq_at + end + 1u] = next ? scale * (sigmoid(go_on) - value) : 0.0;
    uint at = report_at + 5u * row;
    report[at] = !counts ? 0.0 : ends ? -segment : segment;
    report[at + 1u] = nats;
    report[at + 2u] = right;
    report[at + 3u] = counts ? cross_entropy(halt, goal) : 0.0;
    report[at + 4u] = next ? cross_entropy(go_on, value) : 0.0;
}
