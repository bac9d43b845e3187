#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "index.glsl"
#include "fours.glsl"
// x (m, k), w (n, k), dy (m, n). dx = dy w. dw = dyᵀ x and db = dy summed over its rows, each over strips of rows side
// by side, whose sums `reduce` adds up in their order. With one strip dw is written at once.
// variant dx_lane: -DMAKE_DX -DLANE -DK_FOURS=true -DN_FOURS=true
// variant dx_lane_odd: -DMAKE_DX -DLANE -DK_FOURS=true -DN_FOURS=false
// variant dx_lane_scalar: -DMAKE_DX -DLANE -DK_FOURS=false -DN_FOURS=false
// variant dx_group: -DMAKE_DX -DEDGE=4
// variant dx_group_large: -DMAKE_DX -DEDGE=8
// variant dw_lane: -DMAKE_DW -DLANE -DK_FOURS=true -DN_FOURS=true
// variant dw_lane_odd: -DMAKE_DW -DLANE -DK_FOURS=true -DN_FOURS=false
// variant dw_lane_scalar: -DMAKE_DW -DLANE -DK_FOURS=false -DN_FOURS=false
// variant dw_group: -DMAKE_DW -DEDGE=4
// variant dw_group_large: -DMAKE_DW -DEDGE=8
// variant bias: -DMAKE_BIAS
// variant reduce: -DMAKE_REDUCE
#if defined(LANE)
layout(local_size_x = 8) in;
#elif defined(EDGE)
layout(local_size_x = 256) in;
#else
layout(local_size_x = 64) in;
#endif
#ifndef LANE
#define K_FOURS (k_fours != 0)
#define N_FOURS (n_fours != 0)
#endif
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) readonly buffer DY { float dy[]; };
layout(std430, binding = 2) readonly buffer DY4 { vec4 dy4[]; };
layout(std430, binding = 3) writeonly buffer DX { float dx[]; };
layout(std430, binding = 3) writeonly buffer DX4 { vec4 dx4[]; };
layout(std430, binding = 4) writeonly buffer DW { float dw[]; };
layout(std430, binding = 4) writeonly buffer DW4 { vec4 dw4[]; };
layout(std430, binding = 5) writeonly buffer DB { float db[]; };
#ifdef MAKE_REDUCE
#define SCRATCH readonly
#else
#define SCRATCH writeonly
#endif
layout(std430, binding = 6) SCRATCH buffer Partial { float partial[]; };
layout(std430, binding = 6) SCRATCH buffer Partial4 { vec4 partial4[]; };
layout(std430, binding = 7) SCRATCH buffer BiasPartial { float bias_partial[]; };
layout(push_constant) uniform Push {
    uint x_at, w_at, dy_at, dx_at, dw_at, db_at, partial_at, bias_partial_at;
    uint m, n, k, tiles_x, k_fours, n_fours, strip, strips, bias_strip, bias_strips;
};

#if defined(MAKE_BIAS)
FETCH(fetch_dy, dy, dy_at, m, n, n, N_FOURS)

// One invocation for four columns of one strip of rows.
void main() {
    uint columns = (n + 3) / 4, j = flat_index() % columns * 4, s = flat_index() / columns;
    if (s >= bias_strips) return;
    vec4 sum = vec4(0.0);
    for (uint i = s * bias_strip; i < min(m, (s + 1) * bias_strip); ++i) sum += fetch_dy(i, j);
    for (uint e = 0; e < min(4, n - j); ++e) bias_partial[bias_partial_at + s * n + j + e] = sum[e];
}
#elif defined(MAKE_REDUCE)
void main() {
    uint i = flat_index(), weights = strips > 1 ? n * k : 0;
    float sum = 0.0;
    if (i < weights) {
        for (uint s = 0; s < strips; ++s) sum += partial[partial_at + s * weights + i];
        dw[dw_at + i] = sum;
    } else if (i - weights < n && bias_strips > 0) {
        for (uint s = 0; s < bias_strips; ++s) sum += bias_partial[bias_partial_at + s * n + i - weights];
        db[db_at + i - weights] = sum;
    }
}
#else
float initial(uint j) { return 0.0; }
#ifdef MAKE_DX
#define A_DEEP
FETCH(fetch_a, dy, dy_at, m, n, n, N_FOURS)
FETCH(fetch_b, w, w_at, n, k, k, K_FOURS)
STORE(store, dx, dx_at, m, k, k, K_FOURS)
#else
uint strip_end;
FETCH(fetch_a, dy, dy_at, strip_end, n, n, N_FOURS)
FETCH(fetch_b, x, x_at, strip_end, k, k, K_FOURS)
STORE(store_whole, dw, dw_at, n, k, k, K_FOURS)
STORE(store_part, partial, (partial_at + gl_WorkGroupID.z * n * k), n, k, k, K_FOURS)
void store(uint i, uint j, vec4 values) {
    if (strips > 1) store_part(i, j, values);
    else store_whole(i, j, values);
}
#endif
#ifdef LANE
#include "product_lane.glsl"
#else
#include "product_group.glsl"
#endif

void main() {
    uint i = group_index() / tiles_x, j = group_index() % tiles_x;
#ifdef MAKE_DX
    if (i * TILE_I < m) product(i, j, 0, n);
#else
    uint begin = gl_WorkGroupID.z * strip;
    strip_end = min(m, begin + strip);
    if (i * TILE_I < n) product(i, j, begin, strip_end);
#endif
}
#endif
