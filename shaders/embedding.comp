#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// y[row] = scale * w[tokens[row]]; NaN where the token is no row of w.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Tokens { int tokens[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 2) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint tokens_at, w_at, y_at, n, vocab, cols; float scale; };

const uint NAN = 0x7FC00000u;

void main() {
    uint fast = quads(n, w_at | y_at | cols), wide = cols / 4u;
    EACH(i, 0u, fast) {
        uint token = uint(tokens[tokens_at + i / wide]);
        vec4 v = vec4(uintBitsToFloat(NAN));
        if (token < vocab) v = scale * w4[w_at / 4u + token * wide + i % wide];
        y4[y_at / 4u + i] = v;
    }
    EACH(i, 4u * fast, n) {
        uint token = uint(tokens[tokens_at + i / cols]);
        float v = uintBitsToFloat(NAN);
        if (token < vocab) v = scale * w[w_at + token * cols + i % cols];
        y[y_at + i] = v;
    }
}
