#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// AdamW over flat ranges; the formula is in nyx/ops/adam.py.
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

vec4 direction(vec4 mean, vec4 square, float lr, float c1, float c2) {
    return (lr / c1) * (mean / (sqrt(square) * (1.0 / sqrt(c2)) + eps));
}

#include "adam.glsl"
