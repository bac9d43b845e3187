#version 450
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "group_sum.glsl"
// One workgroup: the norm from its partial sums of squares, the clipping factor, and the flag of a norm that is not finite.
layout(local_size_x = GROUP) in;
layout(std430, binding = 0) readonly buffer Partials { float partials[]; };
layout(std430, binding = 1) readonly buffer Hyper { float hyper[]; };
layout(std430, binding = 2) buffer Control { float control[]; };
layout(push_constant) uniform Push { uint partials_at, hyper_at, control_at, n; };

void main() {
    float total = 0.0;
    for (uint i = gl_LocalInvocationIndex; i < n; i += GROUP) total += partials[partials_at + i];
    total = group_sum(total);
    if (gl_LocalInvocationIndex != 0u) return;

    uint c = control_at;
    float max_norm = hyper[hyper_at + 1u];
    if ((floatBitsToUint(total) & 0x7F800000u) == 0x7F800000u) {
        control[c] = 0.0;
        control[c + 1u] = total;
        if (control[c + 2u] == 0.0) {
            control[c + 2u] = 1.0;
            control[c + 3u] = hyper[hyper_at + 2u];
        }
    } else {
        float norm = sqrt(total);
        control[c] = max_norm > 0.0 ? min(1.0, max_norm / (norm + 1e-6)) : 1.0;
        control[c + 1u] = norm;
    }
}
