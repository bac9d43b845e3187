#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "sigmoid.glsl"
// With s = sigmoid(gate): dx = dy * s, dgate = dy * x * s * (1 - s).
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Gate { float gate[]; };
layout(std430, binding = 1) readonly buffer Gate4 { vec4 gate4[]; };
layout(std430, binding = 2) readonly buffer Dy { float dy[]; };
layout(std430, binding = 2) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 3) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 3) writeonly buffer Dx4 { vec4 dx4[]; };
layout(std430, binding = 4) writeonly buffer Dgate { float dgate[]; };
layout(std430, binding = 4) writeonly buffer Dgate4 { vec4 dgate4[]; };
layout(push_constant) uniform Push { uint x_at, gate_at, dy_at, dx_at, dgate_at, gate_row, dgate_row, n, cols; };

void main() {
    uint places = x_at | gate_at | dy_at | dx_at | dgate_at | gate_row | dgate_row | cols;
    uint fast = quads(n, places), wide = cols / 4u;
    EACH(i, 0u, fast) {
        uint row = i / wide, col = i % wide;
        vec4 s = sigmoid(gate4[(gate_at + row * gate_row) / 4u + col]), d = dy4[dy_at / 4u + i] * s;
        dx4[dx_at / 4u + i] = d;
        dgate4[(dgate_at + row * dgate_row) / 4u + col] = d * x4[x_at / 4u + i] * (1.0 - s);
    }
    EACH(i, 4u * fast, n) {
        uint row = i / cols, col = i % cols;
        float s = sigmoid(vec4(gate[gate_at + row * gate_row + col])).x, d = dy[dy_at + i] * s;
        dx[dx_at + i] = d;
        dgate[dgate_at + row * dgate_row + col] = d * x[x_at + i] * (1.0 - s);
    }
}
