#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// e += rest (p - e), unless the control's flag is set.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer P { float p[]; };
layout(std430, binding = 0) readonly buffer P4 { vec4 p4[]; };
layout(std430, binding = 1) readonly buffer Control { float control[]; };
layout(std430, binding = 2) buffer E { float e[]; };
layout(std430, binding = 2) buffer E4 { vec4 e4[]; };
layout(push_constant) uniform Push { uint p_at, control_at, e_at, n; float rest; };

void main() {
    if (control[control_at + 2u] != 0.0) return;
    uint fast = quads(n, p_at | e_at);
    EACH(i, 0u, fast) e4[e_at / 4u + i] += rest * (p4[p_at / 4u + i] - e4[e_at / 4u + i]);
    EACH(i, 4u * fast, n) e[e_at + i] += rest * (p[p_at + i] - e[e_at + i]);
}
