#version 450
#extension GL_GOOGLE_include_directive : require
// dx = dy * gelu'(x); see nyx/ops/gelu_backward.py.
// variant :
// variant tanh: -DTANH
#include "lanes.glsl"
#include "normal.glsl"
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Dy { float dy[]; };
layout(std430, binding = 1) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 2) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 2) writeonly buffer Dx4 { vec4 dx4[]; };
layout(push_constant) uniform Push { uint x_at, dy_at, dx_at, n; };

vec4 slope(vec4 v) {
#ifdef TANH
    vec4 e = odds_against(v), s = 1.0 / (1.0 + e);
    return s + s * (e * s) * v * (1.5957691 + 0.21406445 * v * v);
#else
    vec4 z = abs(v), e = bell(v), r = tail(z, e) - 0.39894228 * z * e;
    return mix(r, 1.0 - r, greaterThan(v, vec4(0)));
#endif
}

void main() {
    uint fast = quads(n, x_at | dy_at | dx_at);
    EACH(i, 0u, fast)
        dx4[dx_at / 4u + i] = dy4[dy_at / 4u + i] * slope(x4[x_at / 4u + i]);
    EACH(i, 4u * fast, n)
        dx[dx_at + i] = dy[dy_at + i] * slope(vec4(x[x_at + i])).x;
}
