#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// dx = dy where y > 0, else 0
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Y { float y[]; };
layout(std430, binding = 0) readonly buffer Y4 { vec4 y4[]; };
layout(std430, binding = 1) readonly buffer Dy { float dy[]; };
layout(std430, binding = 1) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 2) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 2) writeonly buffer Dx4 { vec4 dx4[]; };
layout(push_constant) uniform Push { uint y_at, dy_at, dx_at, n; };

void main() {
    uint fast = quads(n, y_at | dy_at | dx_at);
    EACH(i, 0u, fast)
        dx4[dx_at / 4u + i] = mix(vec4(0), dy4[dy_at / 4u + i], greaterThan(y4[y_at / 4u + i], vec4(0)));
    EACH(i, 4u * fast, n)
        dx[dx_at + i] = y[y_at + i] > 0.0 ? dy[dy_at + i] : 0.0;
}
