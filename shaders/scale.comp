#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// y = factor * x
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, binding = 1) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, y_at, n; float factor; };

void main() {
    uint fast = quads(n, x_at | y_at);
    EACH(i, 0u, fast) y4[y_at / 4u + i] = factor * x4[x_at / 4u + i];
    EACH(i, 4u * fast, n) y[y_at + i] = factor * x[x_at + i];
}
