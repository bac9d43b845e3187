#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
// Causal attention in three passes over the lower triangle of the scores (see include/attention.glsl):
// `scores` = q kᵀ / sqrt(D); `sums` = each row's log-sum-exp; `mix` = the weights exp(score - lse), with dropout,
// times v.
// variant scores_lane: -DSCORES -DLANE -DFOURS=true
// variant scores_lane_scalar: -DSCORES -DLANE -DFOURS=false
// variant scores_group: -DSCORES -DEDGE=4
// variant sums_lane: -DSUMS -DROW_LANES=1
// variant sums_group: -DSUMS -DROW_LANES=64
// variant mix_lane: -DMIX -DLANE -DCOLUMNS=4 -DFOURS=true
// variant mix_lane_scalar: -DMIX -DLANE -DCOLUMNS=4 -DFOURS=false
// variant mix_group: -DMIX -DEDGE=4
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 0) readonly buffer Q4 { vec4 q4[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 1) readonly buffer K4 { vec4 k4[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 2) readonly buffer V4 { vec4 v4[]; };
layout(std430, binding = 3) readonly buffer Counter { uint counter[]; };
layout(std430, binding = 4) writeonly buffer O { float o[]; };
layout(std430, binding = 4) writeonly buffer O4 { vec4 o4[]; };
#ifdef MIX
layout(std430, binding = 5) readonly buffer Lse { float lse[]; };
#else
layout(std430, binding = 5) writeonly buffer Lse { float lse[]; };
#endif
#ifdef SCORES
layout(std430, binding = 6) writeonly buffer Scores4 { vec4 scores4[]; };
#else
layout(std430, binding = 6) readonly buffer Scores4 { vec4 scores4[]; };
#endif
layout(push_constant) uniform Push {
    uint q_at, k_at, v_at, counter_at, o_at, lse_at, scores_at, q_row, k_row, v_row;
    uint time, n_head, width, pitch, first, count, tiles, tiles_x, fours, stream;
    float scale, rate;
};
#include "attention.glsl"

uint head, in_q, in_k, in_v, in_o, in_lse, in_scores;

#ifdef SUMS
const float LOWEST = -3.4028234e38;

// The maximum of two sets and the sum of exp(score - maximum), each set as (maximum, sum).
vec2 merge(vec2 a, vec2 b) {
    float top = max(a.x, b.x);
    return vec2(top, a.y * exp(a.x - top) + b.y * exp(b.x - top));
}

#if ROW_LANES > 1
shared vec2 parts[ROW_LANES];
#endif

void main() {
    uint row = ROW_LANES > 1 ? group_index() : flat_index(), lane = ROW_LANES > 1 ? gl_LocalInvocationID.x : 0;
    bool inside = row < count * time;
    uint i = row % time;
    vec2 part = vec2(LOWEST, 0.0);
    for (uint j = 4 * lane; inside && j <= i; j += 4 * ROW_LANES) {
        vec4 s = mix(vec4(LOWEST), scores4[(scores_at + row * pitch + j) / 4], seen(i, j));
        float top = max(max(max(s.x, s.y), max(s.z, s.w)), part.x);
        vec4 e = exp(s - top);
        part = vec2(top, part.y * exp(part.x - top) + ((e.x + e.y) + (e.z + e.w)));
    }
#if ROW_LANES > 1
    parts[lane] = part;
    barrier();
    if (lane < 8) {
        for (uint other = lane + 8; other < ROW_LANES; other += 8) part = merge(part, parts[other]);
        parts[lane] = part;
    }
    barrier();
    part = parts[0];
    for (uint other = 1; other < 8; ++other) part = merge(part, parts[other]);
#endif
    if (inside && lane == 0) lse[lse_at + first * time + row] = part.x + log(part.y);
}
#else

#ifdef SCORES
#define A_DEEP
#define B_DEEP
FETCH(fetch_a, q, in_q, time, width, q_row, FOURS)
FETCH(fetch_b, k, in_k, time, width, k_row, FOURS)
void store(uint i, uint j, vec4 values) {
    if (i < time && j < time) scores4[(in_scores + i * pitch + j) / 4] = values * scale;
}
#else
#define A_DEEP
vec4 fetch_a(uint i, uint j) {
    vec4 s = scores4[(in_scores + min(i, time - 1) * pitch + min(j, pitch - 4)) / 4];
    vec4 weights = mix(vec4(0.0), exp(s - lse[in_lse + min(i, time - 1)]), seen(i, j));
    if (rate > 0.0) weights = mix(vec4(0.0), weights / (1.0 - rate), kept(head, i, j));
    return weights;
}
FETCH(fetch_b, v, in_v, time, width, v_row, FOURS)
STORE(store, o, in_o, time, width, (n_head * width), FOURS)
#endif
float initial(uint j) { return 0.0; }
#ifdef LANE
#include "product_lane.glsl"
#else
#include "product_group.glsl"
#endif

void main() {
    uint group = group_index(), i = group % tiles / tiles_x, j = group % tiles_x;
    if (group >= tiles * count) return;
    head = first + group / tiles;
    in_q = head_start(q_at, q_row, head);
    in_k = head_start(k_at, k_row, head);
    in_v = head_start(v_at, v_row, head);
    in_o = head_start(o_at, n_head * width, head);
    in_lse = lse_at + head * time;
    in_scores = scores_at + group / tiles * time * pitch;
#ifdef SCORES
    if (j * TILE_J < (i + 1) * TILE_I) product(i, j, 0, width);
#else
    product(i, j, 0, min(time, (i + 1) * TILE_I));
#endif
}
#endif
