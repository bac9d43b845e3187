// A row belongs to a workgroup of 64, or under LANE to one invocation: software drivers pay dearly for a barrier.
#include "lanes.glsl"
#ifdef LANE
layout(local_size_x = 16) in;
const uint ROW_LANES = 1u;
uint row_index() { return flat_index(); }
uint row_lane() { return 0u; }
float row_sum(float x) { return x; }
#else
#define GROUP 64
#include "group_sum.glsl"
layout(local_size_x = GROUP) in;
const uint ROW_LANES = GROUP;
uint row_index() { return group_index(); }
uint row_lane() { return gl_LocalInvocationIndex; }
float row_sum(float x) { return group_sum(x); }
#endif

float row_sum(vec4 x) { return row_sum((x.x + x.y) + (x.z + x.w)); }
