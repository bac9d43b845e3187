#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "index.glsl"
#include "fours.glsl"
// y = x wᵀ + b: x (m, k), w (n, k), y (m, n).
// variant lane: -DLANE -DK_FOURS=true -DN_FOURS=true
// variant lane_odd: -DLANE -DK_FOURS=true -DN_FOURS=false
// variant lane_scalar: -DLANE -DK_FOURS=false -DN_FOURS=false
// variant group: -DEDGE=4
// variant group_large: -DEDGE=8
#ifdef LANE
layout(local_size_x = 8) in;
#else
layout(local_size_x = 256) in;
#define K_FOURS (k_fours != 0)
#define N_FOURS (n_fours != 0)
#endif
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) readonly buffer B { float b[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push {
    uint x_at, w_at, b_at, y_at, m, n, k, tiles_x, k_fours, n_fours, bias;
};

FETCH(fetch_a, x, x_at, m, k, k, K_FOURS)
FETCH(fetch_b, w, w_at, n, k, k, K_FOURS)
STORE(store, y, y_at, m, n, n, N_FOURS)
float initial(uint j) { return bias != 0 ? b[b_at + min(j, n - 1)] : 0.0; }

#define A_DEEP
#define B_DEEP
#ifdef LANE
#include "product_lane.glsl"
#else
#include "product_group.glsl"
#endif

void main() {
    uint tile = group_index();
    if (tile / tiles_x * TILE_I < m) product(tile / tiles_x, tile % tiles_x, 0, k);
}
