#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// dw = the sum of dy over the batch, span = T * C elements each; zero beyond them.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Dy { float dy[]; };
layout(std430, binding = 0) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 1) writeonly buffer Dw { float dw[]; };
layout(std430, binding = 1) writeonly buffer Dw4 { vec4 dw4[]; };
layout(push_constant) uniform Push { uint dy_at, dw_at, n, span, batch; };

void main() {
    uint fast = quads(n, dy_at | dw_at | span);
    EACH(i, 0u, fast) {
        vec4 sum = vec4(0);
        for (uint b = 0u; b < (4u * i < span ? batch : 0u); ++b) sum += dy4[(dy_at + b * span) / 4u + i];
        dw4[dw_at / 4u + i] = sum;
    }
    EACH(i, 4u * fast, n) {
        float sum = 0.0;
        for (uint b = 0u; b < (i < span ? batch : 0u); ++b) sum += dy[dy_at + b * span + i];
        dw[dw_at + i] = sum;
    }
}
