#version 450
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "group_sum.glsl"
// One workgroup: adds the sums of loss and correct, and one batch, to the totals.
layout(local_size_x = GROUP) in;
layout(std430, binding = 0) readonly buffer Loss { float loss[]; };
layout(std430, binding = 1) readonly buffer Correct { float correct[]; };
layout(std430, binding = 2) buffer Sums { float sums[]; };
layout(push_constant) uniform Push { uint loss_at, correct_at, sums_at, rows; };

void main() {
    vec2 sum = vec2(0);
    for (uint i = gl_LocalInvocationIndex; i < rows; i += GROUP) sum += vec2(loss[loss_at + i], correct[correct_at + i]);
    sum = vec2(group_sum(sum.x), group_sum(sum.y));
    if (gl_LocalInvocationIndex != 0u) return;
    sums[sums_at] += sum.x;
    sums[sums_at + 1u] += sum.y;
    sums[sums_at + 2u] += 1.0;
}
