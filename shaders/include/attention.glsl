// What attention and attention_backward share. Their scores are (heads, T, pitch) in scratch: `count` heads at a time,
// from head `first` on (a head is b * n_head + h), with rows of `pitch` = T in whole fours.
#include "index.glsl"
#include "philox.glsl"
#include "fours.glsl"

#if defined(LANE)
layout(local_size_x = 8) in;
#elif defined(EDGE)
layout(local_size_x = 256) in;
#define FOURS (fours != 0)
#else
layout(local_size_x = 64) in;
#define FOURS (fours != 0)
#endif

// Where a head's first row begins in a (B, T, C) tensor whose rows lie `row` apart.
uint head_start(uint at, uint row, uint head) { return at + head / n_head * time * row + head % n_head * width; }

// Which of the weights of query i and keys j to j + 3 dropout keeps; j is a multiple of 4.
bvec4 kept(uint head, uint i, uint j) {
    uint c = counter_at;
    uvec4 draw = uvec4(counter[c], counter[c + 1], counter[c + 2], counter[c + 3]);
    uint each = n_head * time * time;
    uvec2 index = philox_index(draw.w + head / n_head, each, (head % n_head * time + i) * time + j);
    uint high = index.x >> 2, low = (index.y >> 2) | (index.x << 30), before = index.y & 3;
    vec4 u = philox_uniform4(draw, stream, high, low);
    if (before != 0) {
        vec4 v = philox_uniform4(draw, stream, high + uint(low == 0xFFFFFFFFu), low + 1);
        u = before == 1 ? vec4(u.yzw, v.x) : before == 2 ? vec4(u.zw, v.xy) : vec4(u.w, v.xyz);
    }
    return greaterThanEqual(u, vec4(rate));
}

// Which of the keys j to j + 3 query i sees.
bvec4 seen(uint i, uint j) { return lessThanEqual(uvec4(j) + uvec4(0, 1, 2, 3), uvec4(i)); }
