#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "sigmoid.glsl"
// y = g * sigmoid(g) * u, where a row of x is cols elements of g, then cols of u.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, binding = 1) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, y_at, n, cols; };

vec4 swiglu(vec4 g, vec4 u) { return g * sigmoid(g) * u; }

void main() {
    uint fast = quads(n, x_at | y_at | cols), wide = cols / 4u;
    EACH(i, 0u, fast) {
        uint at = x_at / 4u + i + i / wide * wide;
        y4[y_at / 4u + i] = swiglu(x4[at], x4[at + wide]);
    }
    EACH(i, 4u * fast, n) {
        uint at = x_at + i + i / cols * cols;
        y[y_at + i] = swiglu(vec4(x[at]), vec4(x[at + cols])).x;
    }
}
