#version 450
#extension GL_GOOGLE_include_directive : require
// One row of a batch after a segment: whether it ends, the halting head's loss and gradient; nyx/ops/halt.py.
// variant :
// variant lane: -DLANE
#include "row.glsl"
#include "philox.glsl"
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer QNext { float q_next[]; };
layout(std430, binding = 2) readonly buffer Loss { float loss[]; };
layout(std430, binding = 3) readonly buffer Correct { float correct[]; };
layout(std430, binding = 4) readonly buffer Targets { int targets[]; };
layout(std430, binding = 5) readonly buffer Norm { float norm[]; };
layout(std430, binding = 6) readonly buffer Counter { uint counter[]; };
layout(std430, binding = 7) readonly buffer Progress { float progress[]; };
layout(std430, binding = 8) writeonly buffer Dq { float dq[]; };
layout(std430, binding = 9) writeonly buffer Now { float now[]; };
layout(std430, binding = 10) writeonly buffer Totals { float totals[]; };
layout(push_constant) uniform Push {
    uint q_at, q_next_at, loss_at, correct_at, targets_at, norm_at, counter_at, progress_at, dq_at, now_at, totals_at;
    uint rows, cols, has_progress, max_steps, stream;
    float exploration, accuracy;
};

float sigmoid(float x) { return 1.0 / (1.0 + exp(-x)); }

// log(1 + e) for e in (0, 1]: a series where 1 + e would lose the digits of e.
float log1p(float e) { return e < 1e-3 ? e * (1.0 - e * (0.5 - e / 3.0)) : log(1.0 + e); }

float cross_entropy(float z, float wanted) { return max(z, 0.0) - z * wanted + log1p(exp(-abs(z))); }

// The least number of segments of a row.
float least(uint row) {
    uvec4 c = uvec4(counter[counter_at], counter[counter_at + 1u], counter[counter_at + 2u], counter[counter_at + 3u]);
    uvec2 at = philox_index(c.w, 2u, 2u * row), then = philox_index(c.w, 2u, 2u * row + 1u);
    if (max_steps == 1u || philox_uniform(c, stream, at.x, at.y) >= exploration) return 1.0;
    return 2.0 + min(floor(philox_uniform(c, stream, then.x, then.y) * float(max_steps - 1u)), float(max_steps - 2u));
}

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
    float before = has_progress == 0u ? 0.0 : progress[progress_at + row], segment = before + 1.0;
    float halt = q[q_at + end], go_on = q[q_at + end + 1u];
    float next_halt = q_next[q_next_at + end], next_go_on = q_next[q_next_at + end + 1u];
    bool running = before >= 0.0 && n > 0.0, last = segment >= float(max_steps);
    bool ends = last || (halt > go_on && segment >= least(row)) || n == 0.0, adds = ends && running;
    float goal = float(right + 1e-3 >= accuracy * n);
    float value = sigmoid(last ? next_halt : max(next_halt, next_go_on));
    float scale = 0.5 * norm[norm_at];
    dq[dq_at + end] = running ? scale * (sigmoid(halt) - goal) : 0.0;
    dq[dq_at + end + 1u] = running ? scale * (sigmoid(go_on) - value) : 0.0;
    now[now_at + row] = before < 0.0 ? before : ends ? -segment : segment;
    totals[totals_at + row] = adds ? nats : 0.0;
    totals[totals_at + rows + row] = adds ? right : 0.0;
    float both = cross_entropy(halt, goal) + cross_entropy(go_on, value);
    totals[totals_at + 2u * rows + row] = running ? 0.5 * both : 0.0;
}
