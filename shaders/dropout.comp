#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
#include "philox.glsl"
// y = x * keep * scale. An invocation draws one block of the generator: four elements, fewer at the two ends.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Counter { uint counter[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 2) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, counter_at, y_at, n, per_sample, stream; float rate, scale; };

void main() {
    uint c = counter_at;
    uvec4 draw = uvec4(counter[c], counter[c + 1u], counter[c + 2u], counter[c + 3u]);
    uvec2 first = philox_index(draw.w, per_sample, 0u);
    uint carry;
    uint block_lo = uaddCarry((first.y >> 2) | (first.x << 30), flat_index(), carry);
    uint block_hi = (first.x >> 2) + carry;
    // The block's first element; before element 0 it wraps round and is as good as beyond the end.
    uint before = first.y & 3u, at = 4u * flat_index() - before;
    if (4u * flat_index() >= n + before) return;

    vec4 factor = scale * vec4(greaterThanEqual(philox_uniform4(draw, stream, block_hi, block_lo), vec4(rate)));
    if (at < n && at + 3u < n && (((x_at + at) | (y_at + at)) & 3u) == 0u) {
        y4[(y_at + at) / 4u] = x4[(x_at + at) / 4u] * factor;
    } else {
        for (uint k = 0u; k < 4u; ++k)
            if (at + k < n) y[y_at + at + k] = x[x_at + at + k] * factor[k];
    }
}
