#version 450
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "index.glsl"
#include "group_sum.glsl"
// One partial sum of squares per workgroup, of `each` elements (a multiple of 4).
layout(local_size_x = GROUP) in;
layout(std430, binding = 0) readonly buffer G { float g[]; };
layout(std430, binding = 0) readonly buffer G4 { vec4 g4[]; };
layout(std430, binding = 1) writeonly buffer Partial { float partial[]; };
layout(push_constant) uniform Push { uint g_at, partial_at, n, each, count; };

void main() {
    uint group = group_index(), lane = gl_LocalInvocationIndex;
    if (group >= count) return;
    uint from = g_at + group * each, to = g_at + min(n, (group + 1u) * each);
    uint scalars = from;  // where the vec4s end
    float sum = 0.0;
    if ((from & 3u) == 0u) {
        vec4 sums = vec4(0);
        scalars = to & ~3u;
        for (uint i = from / 4u + lane; i < to / 4u; i += GROUP) sums += g4[i] * g4[i];
        sum = (sums.x + sums.y) + (sums.z + sums.w);
    }
    for (uint i = scalars + lane; i < to; i += GROUP) sum += g[i] * g[i];
    sum = group_sum(sum);
    if (lane == 0u) partial[partial_at + group] = sum;
}
