#version 450
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "index.glsl"
#include "group_sum.glsl"
#include "fours.glsl"
// Attention of one new position; a workgroup makes one head. It starts from the new key and value, which it also puts
// into the caches, and takes the earlier ones 64 at a time: a key for each invocation, then for each quad of channels
// the values, spread over the invocations that are left. NaN where start is outside.
layout(local_size_x = GROUP) in;
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 0) readonly buffer Q4 { vec4 q4[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 1) readonly buffer K4 { vec4 k4[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 2) readonly buffer V4 { vec4 v4[]; };
layout(std430, binding = 3) readonly buffer Start { int start[]; };
layout(std430, binding = 4) buffer KCache { float k_cache[]; };
layout(std430, binding = 4) buffer KCache4 { vec4 k_cache4[]; };
layout(std430, binding = 5) buffer VCache { float v_cache[]; };
layout(std430, binding = 5) buffer VCache4 { vec4 v_cache4[]; };
layout(std430, binding = 6) writeonly buffer O { float o[]; };
layout(std430, binding = 6) writeonly buffer O4 { vec4 o4[]; };
layout(push_constant) uniform Push {
    uint q_at, k_at, v_at, start_at, k_cache_at, v_cache_at, o_at, q_row, k_row, v_row;
    uint heads, positions, n_head, width, fours;
    float scale;
};

uint in_q, in_k, in_v, in_o, in_cache;
FETCH(fetch_q, q, in_q, 1, width, 0, fours != 0)
FETCH(fetch_k, k, in_k, 1, width, 0, fours != 0)
FETCH(fetch_v, v, in_v, 1, width, 0, fours != 0)
FETCH(fetch_key, k_cache, (k_cache_at + in_cache), positions, width, (n_head * width), fours != 0)
FETCH(fetch_value, v_cache, (v_cache_at + in_cache), positions, width, (n_head * width), fours != 0)
STORE(store_key, k_cache, (k_cache_at + in_cache), positions, width, (n_head * width), fours != 0)
STORE(store_value, v_cache, (v_cache_at + in_cache), positions, width, (n_head * width), fours != 0)
STORE(store_o, o, in_o, 1, width, 0, fours != 0)

const float LOWEST = -3.4028234e38;
shared float scores[GROUP], weights[GROUP];
shared vec4 query[GROUP], parts[GROUP];

// The largest score of the workgroup.
float group_max(float score) {
    uint lane = gl_LocalInvocationIndex;
    scores[lane] = score;
    barrier();
    if (lane < 8)
        for (uint other = lane + 8; other < GROUP; other += 8) scores[lane] = max(scores[lane], scores[other]);
    barrier();
    for (uint other = 0; other < 8; ++other) score = max(score, scores[other]);
    return score;
}

void main() {
    uint head = group_index(), lane = gl_LocalInvocationIndex;
    if (head >= heads) return;
    uint b = head / n_head, from = head % n_head * width, at = uint(start[start_at]);
    in_q = q_at + b * q_row + from, in_k = k_at + b * k_row + from, in_v = v_at + b * v_row + from;
    in_o = o_at + b * n_head * width + from, in_cache = b * positions * n_head * width + from;
    bool inside = at < positions;
    uint quads = (width + 3) / 4, sharers = GROUP / quads, quad = lane % quads, sharer = lane / quads;

    vec4 key = fetch_k(0, lane * 4), value = fetch_v(0, quad * 4), own = fetch_q(0, lane * 4) * scale;
    query[lane] = own;
    if (inside && lane < quads) store_key(at, lane * 4, key);
    if (inside && lane < quads) store_value(at, lane * 4, value);
    float top = group_sum(dot(own, key)), total = lane == 0 ? 1.0 : 0.0;
    vec4 sum = sharer == 0 ? value : vec4(0.0);
    uint end = inside ? at : 0;
    for (uint first = 0; first < end; first += GROUP) {
        uint j = first + lane;
        float score = j < end ? 0.0 : LOWEST;
        for (uint c = 0; c < quads && j < end; ++c) score += dot(query[c], fetch_key(j, c * 4));
        float above = max(top, group_max(score)), less = exp(top - above), weight = j < end ? exp(score - above) : 0.0;
        weights[lane] = weight;
        barrier();
        top = above, total = total * less + weight, sum *= less;
        for (uint i = sharer; i < min(GROUP, end - first) && sharer < sharers; i += sharers)
            sum += weights[i] * fetch_value(first + i, quad * 4);
    }
    total = group_sum(total);
    parts[lane] = sum;
    barrier();
    if (lane >= quads) return;
    for (uint s = 1; s < sharers; ++s) sum += parts[lane + s * quads];
    store_o(0, lane * 4, inside ? sum / total : vec4(uintBitsToFloat(0x7FC00000u)));
}
