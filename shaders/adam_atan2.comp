#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// Adam-atan2 over flat ranges; the formula is in nyx/ops/adam_atan2.py.
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
    float rest1, beta2, rest2;
};

// atan2(y, x) for x >= 0, and 0 for (0, 0). Vulkan grants the one of GLSL an error of 4096 units in the last place; this has
// about 3: the reduction and the polynomial are those of atanf in the Cephes library (S. L. Moshier).
vec4 angle(vec4 y, vec4 x) {
    vec4 a = abs(y), low = min(a, x), high = max(a, x);
    bvec4 wide = greaterThan(low, 0.41421356 * high);  // above pi / 8
    vec4 t = mix(low, low - high, wide) / max(mix(high, low + high, wide), 1.17549435e-38);  // no 0 / 0
    vec4 z = t * t;
    vec4 r = (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * t + t;
    r += mix(vec4(0), vec4(0.78539816), wide);
    r = mix(r, 1.57079633 - r, greaterThan(a, x));
    return mix(r, -r, lessThan(y, vec4(0)));
}

vec4 direction(vec4 mean, vec4 square, float lr, float c1, float c2) {
    return lr / c1 * angle(mean, sqrt(square) * (1.0 / sqrt(c2)));
}

#include "adam.glsl"
