#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// a, b = b, a; words, since a float may not come through with every bit.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer A { uint a[]; };
layout(std430, binding = 0) buffer A4 { uvec4 a4[]; };
layout(std430, binding = 1) buffer B { uint b[]; };
layout(std430, binding = 1) buffer B4 { uvec4 b4[]; };
layout(push_constant) uniform Push { uint a_at, b_at, n; };

void main() {
    uint fast = quads(n, a_at | b_at);
    EACH(i, 0u, fast) {
        uvec4 before = a4[a_at / 4u + i];
        a4[a_at / 4u + i] = b4[b_at / 4u + i];
        b4[b_at / 4u + i] = before;
    }
    EACH(i, 4u * fast, n) {
        uint before = a[a_at + i];
        a[a_at + i] = b[b_at + i];
        b[b_at + i] = before;
    }
}
