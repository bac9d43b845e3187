#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
// The backward of attention, over the lower triangle of the scores (see include/attention.glsl); p and ds are scores.
// `delta` = the sums of the rows of dy * o. `p` = the weights exp(q kᵀ / sqrt(D) - lse), negative where dropout took
// them out. `ds` = p (dy vᵀ - delta) / sqrt(D), with dropout on dy vᵀ. `dv` = pᵀ dy, `dq` = ds k, `dk` = dsᵀ q.
// variant delta: -DMAKE_DELTA
// variant p_lane: -DMAKE_P -DLANE -DFOURS=true
// variant p_lane_scalar: -DMAKE_P -DLANE -DFOURS=false
// variant p_group: -DMAKE_P -DEDGE=4
// variant ds_lane: -DMAKE_DS -DLANE -DFOURS=true
// variant ds_lane_scalar: -DMAKE_DS -DLANE -DFOURS=false
// variant ds_group: -DMAKE_DS -DEDGE=4
// variant dv_lane: -DMAKE_DV -DLANE -DCOLUMNS=4 -DFOURS=true
// variant dv_lane_scalar: -DMAKE_DV -DLANE -DCOLUMNS=4 -DFOURS=false
// variant dv_group: -DMAKE_DV -DEDGE=4
// variant dq_lane: -DMAKE_DQ -DLANE -DCOLUMNS=4 -DFOURS=true
// variant dq_lane_scalar: -DMAKE_DQ -DLANE -DCOLUMNS=4 -DFOURS=false
// variant dq_group: -DMAKE_DQ -DEDGE=4
// variant dk_lane: -DMAKE_DK -DLANE -DCOLUMNS=4 -DFOURS=true
// variant dk_lane_scalar: -DMAKE_DK -DLANE -DCOLUMNS=4 -DFOURS=false
// variant dk_group: -DMAKE_DK -DEDGE=4
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 0) readonly buffer Q4 { vec4 q4[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 1) readonly buffer K4 { vec4 k4[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 2) readonly buffer V4 { vec4 v4[]; };
layout(std430, binding = 3) readonly buffer O { float o[]; };
layout(std430, binding = 3) readonly buffer O4 { vec4 o4[]; };
layout(std430, binding = 4) readonly buffer Lse { float lse[]; };
layout(std430, binding = 5) readonly buffer Dy { float dy[]; };
layout(std430, binding = 5) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 6) readonly buffer Counter { uint counter[]; };
layout(std430, binding = 7) writeonly buffer Dq { float dq[]; };
layout(std430, binding = 7) writeonly buffer Dq4 { vec4 dq4[]; };
layout(std430, binding = 8) writeonly buffer Dk { float dk[]; };
layout(std430, binding = 8) writeonly buffer Dk4 { vec4 dk4[]; };
layout(std430, binding = 9) writeonly buffer Dv { float dv[]; };
layout(std430, binding = 9) writeonly buffer Dv4 { vec4 dv4[]; };
#ifdef MAKE_DELTA
layout(std430, binding = 10) writeonly buffer Delta { float delta[]; };
#else
layout(std430, binding = 10) readonly buffer Delta { float delta[]; };
#endif
#ifdef MAKE_P
layout(std430, binding = 11) writeonly buffer P4 { vec4 p4[]; };
#else
layout(std430, binding = 11) readonly buffer P4 { vec4 p4[]; };
#endif
#ifdef MAKE_DS
layout(std430, binding = 12) writeonly buffer Ds4 { vec4 ds4[]; };
#else
layout(std430, binding = 12) readonly buffer Ds4 { vec4 ds4[]; };
#endif
layout(push_constant) uniform Push {
    uint q_at, k_at, v_at, o_at, lse_at, dy_at, counter_at, dq_at, dk_at, dv_at, delta_at, p_at, ds_at;
    uint q_row, k_row, v_row, dq_row, dk_row, dv_row;
    uint time, n_head, width, pitch, first, count, tiles, tiles_x, fours, stream;
    float scale, rate;
};
#include "attention.glsl"

uint head, in_a, in_b, in_c, in_scores;
uint channels() { return n_head * width; }
uint score(uint at, uint i, uint j) { return (at + in_scores + min(i, time - 1) * pitch + min(j, pitch - 4)) / 4; }

#ifdef MAKE_DELTA
FETCH(fetch_o, o, in_a, time, width, channels(), FOURS)
FETCH(fetch_dy, dy, in_b, time, width, channels(), FOURS)
void main() {
    uint row = flat_index();
    if (row >= count * time) return;
    head = first + row / time;
    in_a = head_start(o_at, channels(), head);
    in_b = head_start(dy_at, channels(), head);
    float sum = 0.0;
    for (uint c = 0; c < width; c += 4) sum += dot(fetch_o(row % time, c), fetch_dy(row % time, c));
    delta[delta_at + first * time + row] = sum;
}
#else

#if defined(MAKE_P)
#define A_DEEP
#define B_DEEP
FETCH(fetch_a, q, in_a, time, width, q_row, FOURS)
FETCH(fetch_b, k, in_b, time, width, k_row, FOURS)
void store(uint i, uint j, vec4 s) {
    if (i >= time || j >= time) return;
    vec4 p = mix(vec4(0.0), exp(s * scale - lse[lse_at + head * time + i]), seen(i, j));
    if (rate > 0.0) p = mix(-p, p, kept(head, i, j));
    p4[score(p_at, i, j)] = p;
}
#elif defined(MAKE_DS)
#define A_DEEP
#define B_DEEP
FETCH(fetch_a, dy, in_a, time, width, channels(), FOURS)
FETCH(fetch_b, v, in_b, time, width, v_row, FOURS)
void store(uint i, uint j, vec4 s) {
    if (i >= time || j >= time) return;
    vec4 p = p4[score(p_at, i, j)], dp = mix(s / (1.0 - rate), vec4(0.0), lessThan(p, vec4(0.0)));
    ds4[score(ds_at, i, j)] = mix(vec4(0.0), abs(p) * (dp - delta[delta_at + head * time + i]) * scale, seen(i, j));
}
#elif defined(MAKE_DV)
vec4 fetch_a(uint i, uint j) {
    vec4 kept_p = max(p4[score(p_at, i, j)], 0.0) / (1.0 - rate);
    return mix(vec4(0.0), kept_p, bvec4(i < time && j < time));
}
FETCH(fetch_b, dy, in_b, time, width, channels(), FOURS)
STORE(store, dv, in_c, time, width, dv_row, FOURS)
#elif defined(MAKE_DQ)
#define A_DEEP
vec4 fetch_a(uint i, uint j) { return ds4[score(ds_at, i, j)]; }
FETCH(fetch_b, k, in_b, time, width, k_row, FOURS)
STORE(store, dq, in_c, time, width, dq_row, FOURS)
#else
vec4 fetch_a(uint i, uint j) { return mix(vec4(0.0), ds4[score(ds_at, i, j)], bvec4(i < time && j < time)); }
FETCH(fetch_b, q, in_b, time, width, q_row, FOURS)
STORE(store, dk, in_c, time, width, dk_row, FOURS)
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
    in_scores = group / tiles * time * pitch;
#if defined(MAKE_P)
    in_a = head_start(q_at, q_row, head), in_b = head_start(k_at, k_row, head);
    if (j * TILE_J < (i + 1) * TILE_I) product(i, j, 0, width);
#elif defined(MAKE_DS)
    in_a = head_start(dy_at, channels(), head), in_b = head_start(v_at, v_row, head);
    if (j * TILE_J < (i + 1) * TILE_I) product(i, j, 0, width);
#elif defined(MAKE_DV)
    in_b = head_start(dy_at, channels(), head), in_c = head_start(dv_at, dv_row, head);
    product(i, j, i * TILE_I, time);
#elif defined(MAKE_DQ)
    in_b = head_start(k_at, k_row, head), in_c = head_start(dq_at, dq_row, head);
    product(i, j, 0, min(time, (i + 1) * TILE_I));
#else
    in_b = head_start(q_at, q_row, head), in_c = head_start(dk_at, dk_row, head);
    product(i, j, i * TILE_I, time);
#endif
}
#endif
