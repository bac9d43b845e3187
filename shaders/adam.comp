#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// AdamW over flat ranges; the formula and the rows of hyper and control are in nyx/ops/adam.py. Four elements an invocation.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer G { float g[]; };
layout(std430, binding = 0) readonly buffer G4 { vec4 g4[]; };
layout(std430, binding = 1) readonly buffer Hyper { float hyper[]; };
layout(std430, binding = 2) readonly buffer Control { float control[]; };
layout(std430, binding = 3) buffer P { float p[]; };
layout(std430, binding = 3) buffer P4 { vec4 p4[]; };
layout(std430, binding = 4) buffer M { float m[]; };
layout(std430, binding = 4) buffer M4 { vec4 m4[]; };
layout(std430, binding = 5) buffer V { float v[]; };
layout(std430, binding = 5) buffer V4 { vec4 v4[]; };
layout(push_constant) uniform Push {
    uint g_at, hyper_at, control_at, p_at, m_at, v_at, n, row;
    float rest1, beta2, rest2, eps;
};

void update(vec4 gradient, inout vec4 param, inout vec4 mean, inout vec4 square) {
    uint h = hyper_at + 4u * row;
    float lr = hyper[hyper_at], decay = hyper[h], c1 = hyper[h + 1u], c2 = hyper[h + 2u];
    gradient *= control[control_at];
    mean += rest1 * (gradient - mean);
    square = beta2 * square + rest2 * (gradient * gradient);
    param = param * (1.0 - lr * decay) - (lr / c1) * (mean / (sqrt(square) * (1.0 / sqrt(c2)) + eps));
}

void main() {
    uint at = 4u * flat_index();
    if (at >= n || control[control_at + 2u] != 0.0) return;
    vec4 param = vec4(0), mean = vec4(0), square = vec4(0), gradient = vec4(0);
    if (at + 4u <= n && ((g_at | p_at | m_at | v_at) & 3u) == 0u) {
        uint i = (p_at + at) / 4u, j = (m_at + at) / 4u, k = (v_at + at) / 4u;
        param = p4[i], mean = m4[j], square = v4[k];
        update(g4[(g_at + at) / 4u], param, mean, square);
        p4[i] = param, m4[j] = mean, v4[k] = square;
        return;
    }
    for (uint k = 0u; k < 4u; ++k) {
        if (at + k >= n) continue;
        gradient[k] = g[g_at + at + k];
        param[k] = p[p_at + at + k], mean[k] = m[m_at + at + k], square[k] = v[v_at + at + k];
    }
    update(gradient, param, mean, square);
    for (uint k = 0u; k < 4u; ++k)
        if (at + k < n) p[p_at + at + k] = param[k], m[m_at + at + k] = mean[k], v[v_at + at + k] = square[k];
}
