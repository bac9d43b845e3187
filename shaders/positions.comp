#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// y[b, t] = x[b, t] + w[start + t], span = T * cols; NaN where start leaves no room, room = S - T.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) readonly buffer Start { int start[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, w_at, start_at, y_at, n, span, cols, room, has_start; };

void main() {
    uint first = 0u;
    if (has_start != 0u) first = uint(start[start_at]);
    bool fits = first <= room;
    uint from = w_at + (fits ? first * cols : 0u);
    uint fast = quads(n, x_at | w_at | y_at | cols);
    float nan = uintBitsToFloat(0x7FC00000u);
    EACH(i, 0u, fast) {
        vec4 v = x4[x_at / 4u + i] + w4[from / 4u + i % (span / 4u)];
        y4[y_at / 4u + i] = fits ? v : vec4(nan);
    }
    EACH(i, 4u * fast, n) {
        float v = x[x_at + i] + w[from + i % span];
        y[y_at + i] = fits ? v : nan;
    }
}
