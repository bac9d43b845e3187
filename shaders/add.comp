#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// y = a + b; b may be shorter than a and then repeats (a row, or one sample of a batch).
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint a_at, b_at, y_at, n, period; };

void main() {
    uint i = flat_index();
    if (i < n) y[y_at + i] = a[a_at + i] + b[b_at + i % period];
}
