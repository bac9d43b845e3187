#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "sigmoid.glsl"
// y = x * sigmoid(gate)
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Gate { float gate[]; };
layout(std430, binding = 1) readonly buffer Gate4 { vec4 gate4[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 2) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, gate_at, y_at, gate_row, n, cols; };

void main() {
    uint fast = quads(n, x_at | gate_at | y_at | gate_row | cols), wide = cols / 4u;
    EACH(i, 0u, fast) {
        vec4 g = gate4[(gate_at + i / wide * gate_row) / 4u + i % wide];
        y4[y_at / 4u + i] = x4[x_at / 4u + i] * sigmoid(g);
    }
    EACH(i, 4u * fast, n) {
        float g = gate[gate_at + i / cols * gate_row + i % cols];
        y[y_at + i] = x[x_at + i] * sigmoid(vec4(g)).x;
    }
}
