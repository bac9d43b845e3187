// Workgroups of 64 that share out elements, mostly as quads: four neighbours, read as one vec4. nyx/ops/_launch.py sizes
// the dispatch.
#include "index.glsl"

// How many whole quads n elements hold that can be read as vec4s: none unless `places`, or-ed together, is a multiple
// of 4.
uint quads(uint n, uint places) { return (places & 3u) == 0u ? n / 4u : 0u; }

// A workgroup's share of n items: consecutive ones, since strides as long as a tensor defeat caches.
uint share(uint n) {
    uint groups = gl_NumWorkGroups.x * gl_NumWorkGroups.y;
    return ((n + groups - 1u) / groups + 63u) & ~63u;
}

uint share_begin(uint from, uint to) { return from + group_index() * share(to - from) + gl_LocalInvocationID.x; }
uint share_end(uint from, uint to) { return min(to, from + (group_index() + 1u) * share(to - from)); }

// for: i goes over this invocation's part of from .. to - 1.
#define EACH(i, from, to) for (uint i = share_begin(from, to), end_ = share_end(from, to); i < end_; i += 64u)
