#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "sigmoid.glsl"
// With s = sigmoid(g): dg = dy * u * s * (1 + g * (1 - s)), du = dy * g * s; rows as in swiglu.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Dy { float dy[]; };
layout(std430, binding = 1) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 2) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 2) writeonly buffer Dx4 { vec4 dx4[]; };
layout(push_constant) uniform Push { uint x_at, dy_at, dx_at, n, cols; };

void slopes(vec4 g, vec4 u, vec4 d, out vec4 dg, out vec4 du) {
    vec4 s = sigmoid(g);
    dg = d * u * s * (1.0 + g * (1.0 - s));
    du = d * g * s;
}

void main() {
    vec4 dg, du;
    uint fast = quads(n, x_at | dy_at | dx_at | cols), wide = cols / 4u;
    EACH(i, 0u, fast) {
        uint at = i + i / wide * wide, from = x_at / 4u + at, to = dx_at / 4u + at;
        slopes(x4[from], x4[from + wide], dy4[dy_at / 4u + i], dg, du);
        dx4[to] = dg;
        dx4[to + wide] = du;
    }
    EACH(i, 4u * fast, n) {
        uint at = i + i / cols * cols, from = x_at + at, to = dx_at + at;
        slopes(vec4(x[from]), vec4(x[from + cols]), vec4(dy[dy_at + i]), dg, du);
        dx[to] = dg.x;
        dx[to + cols] = du.x;
    }
}
