// Lanes that stride over elements by quads, four neighbours read as one vec4; nyx/ops/_launch.py sizes the dispatch.
#include "index.glsl"

// How many invocations there are.
uint lanes() { return gl_NumWorkGroups.x * gl_NumWorkGroups.y * gl_WorkGroupSize.x; }

// How many whole quads n elements hold that can be read as vec4s: none unless `places`, or-ed together, is a multiple
// of 4.
uint quads(uint n, uint places) { return (places & 3u) == 0u ? n / 4u : 0u; }
