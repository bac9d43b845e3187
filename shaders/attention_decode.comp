#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// Attention of one new position. A workgroup makes one head: it puts k and v into the caches, then takes the keys 64 at a time,
// one an invocation, and adds up their values, the channels spread over the invocations. NaN where start is outside.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 3) readonly buffer Start { int start[]; };
layout(std430, binding = 4) buffer KCache { float k_cache[]; };
layout(std430, binding = 5) buffer VCache { float v_cache[]; };
layout(std430, binding = 6) writeonly buffer O { float o[]; };
layout(push_constant) uniform Push {
    uint q_at, k_at, v_at, start_at, k_cache_at, v_cache_at, o_at, q_row, k_row, v_row, heads, positions, n_head, width;
    float scale;
};

const float LOWEST = -3.4028234e38;
shared float scores[64], weights[64], query[256], now[256];

void main() {
    uint head = group_index(), lane = gl_LocalInvocationID.x;
    if (head >= heads) return;
    uint b = head / n_head, from = head % n_head * width, at = uint(start[start_at]), row = n_head * width;
    uint in_cache = b * positions * row + from;
    bool inside = at < positions;
    for (uint c = lane; c < width; c += 64) {
        float key = k[k_at + b * k_row + from + c];
        query[c] = q[q_at + b * q_row + from + c] * scale;
        now[c] = key;
        if (inside) k_cache[k_cache_at + in_cache + at * row + c] = key;
        if (inside) v_cache[v_cache_at + in_cache + at * row + c] = v[v_at + b * v_row + from + c];
    }
    barrier();
    float top = LOWEST, total = 0.0, sums[4] = float[4](0.0, 0.0, 0.0, 0.0);
    uint end = inside ? at + 1 : 0;
    for (uint first = 0; first < end; first += 64) {
        uint j = first + lane;
        float score = 0.0;
        for (uint c = 0; c < width && j < end; ++c)
            score += query[c] * (j == at ? now[c] : k_cache[k_cache_at + in_cache + j * row + c]);
        scores[lane] = j < end ? score : LOWEST;
        barrier();
        float above = top;
        for (uint i = 0; i < 64; ++i) above = max(above, scores[i]);
        weights[lane] = j < end ? exp(score - above) : 0.0;
        barrier();
        float less = exp(top - above);
        top = above;
        total *= less;
        for (uint e = 0; e < 4; ++e) sums[e] *= less;
        for (uint i = 0; i < min(64, end - first); ++i) {
            total += weights[i];
            uint place = in_cache + (first + i) * row + lane;
            for (uint e = 0; e < 4 && lane + e * 64 < width; ++e)
                sums[e] += weights[i] * (first + i == at ? v[v_at + b * v_row + from + lane + e * 64]
                                                         : v_cache[v_cache_at + place + e * 64]);
        }
    }
    float nan = uintBitsToFloat(0x7FC00000u);
    for (uint e = 0; e < 4 && lane + e * 64 < width; ++e)
        o[o_at + b * row + from + lane + e * 64] = inside ? sums[e] / total : nan;
}
