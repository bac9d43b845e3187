#version 450
#extension GL_GOOGLE_include_directive : require
// CLEAR: zero in the tables (vocab, cols), one for each strip of rows. Plain: each lane owns four columns of one table and
// adds the rows of its strip there, one after the other. SUM: dw = scale * the sum of the tables.
// variant :
// variant clear: -DCLEAR
// variant sum: -DSUM
#include "lanes.glsl"
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Tokens { int tokens[]; };
layout(std430, binding = 1) readonly buffer Dy { float dy[]; };
layout(std430, binding = 1) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 2) writeonly buffer Dw { float dw[]; };
layout(std430, binding = 2) writeonly buffer Dw4 { vec4 dw4[]; };
#if defined(SUM)
#define ACCESS readonly
#elif defined(CLEAR)
#define ACCESS writeonly
#else
#define ACCESS
#endif
layout(std430, binding = 3) ACCESS buffer Part { float part[]; };
layout(std430, binding = 3) ACCESS buffer Part4 { vec4 part4[]; };
layout(push_constant) uniform Push {
    uint tokens_at, dy_at, dw_at, part_at, rows, vocab, cols, strips;
    float scale;
};

#if defined(CLEAR)
void main() {
    uint n = strips * vocab * cols, fast = quads(n, part_at);
    EACH(i, 0u, fast) part4[part_at / 4u + i] = vec4(0);
    EACH(i, 4u * fast, n) part[part_at + i] = 0.0;
}
#elif defined(SUM)
void main() {
    uint n = vocab * cols, fast = quads(n, dw_at | part_at | n);
    EACH(i, 0u, fast) {
        vec4 sum = vec4(0);
        for (uint k = 0u; k < strips; ++k) sum += part4[(part_at + k * n) / 4u + i];
        dw4[dw_at / 4u + i] = scale * sum;
    }
    EACH(i, 4u * fast, n) {
        float sum = 0.0;
        for (uint k = 0u; k < strips; ++k) sum += part[part_at + k * n + i];
        dw[dw_at + i] = scale * sum;
    }
}
#else
void main() {
    uint wide = (cols + 3u) / 4u, strip = flat_index() / wide, col = 4u * (flat_index() % wide);
    if (strip >= strips) return;
    uint each = (rows + strips - 1u) / strips, from = min(strip * each, rows), to = min(from + each, rows);
    uint table = part_at + strip * vocab * cols;
    uint fast = quads(4u, dy_at | part_at | cols);  // 1 or 0 quads

    for (uint r = from; r < to * fast; ++r) {
        uint token = uint(tokens[tokens_at + r]);
        if (token < vocab) part4[(table + token * cols + col) / 4u] += dy4[(dy_at + r * cols + col) / 4u];
    }
    uint end = fast == 1u ? col : min(col + 4u, cols);
    for (uint c = col; c < end; ++c) {
        for (uint r = from; r < to; ++r) {
            uint token = uint(tokens[tokens_at + r]);
            if (token < vocab) part[table + token * cols + c] += dy[dy_at + r * cols + c];
        }
    }
}
#endif
