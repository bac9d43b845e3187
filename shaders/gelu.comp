#version 450
#extension GL_GOOGLE_include_directive : require
// y = x * P(N <= x), or gelu's tanh form; see nyx/ops/gelu.py.
// variant :
// variant tanh: -DTANH
#include "lanes.glsl"
#include "normal.glsl"
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, binding = 1) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, y_at, n; };

vec4 gelu(vec4 v) {
#ifdef TANH
    return v / (1.0 + odds_against(v));
#else
    vec4 z = abs(v);
    return max(v, 0.0) - z * tail(z, bell(v));
#endif
}

void main() {
    uint fast = quads(n, x_at | y_at);
    EACH(i, 0u, fast) y4[y_at / 4u + i] = gelu(x4[x_at / 4u + i]);
    EACH(i, 4u * fast, n) y[y_at + i] = gelu(vec4(x[x_at + i])).x;
}
