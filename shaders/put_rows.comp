#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// table[rows[b]] = x[b], rows of cols elements.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Rows { int rows[]; };
layout(std430, binding = 2) buffer Table { float table[]; };
layout(std430, binding = 2) buffer Table4 { vec4 table4[]; };
layout(push_constant) uniform Push { uint x_at, rows_at, table_at, n, cols, limit; };

void main() {
    uint fast = quads(n, x_at | table_at | cols), wide = cols / 4u;
    EACH(i, 0u, fast) {
        uint row = uint(rows[rows_at + i / wide]);
        if (row < limit) table4[table_at / 4u + row * wide + i % wide] = x4[x_at / 4u + i];
    }
    EACH(i, 4u * fast, n) {
        uint row = uint(rows[rows_at + i / cols]);
        if (row < limit) table[table_at + row * cols + i % cols] = x[x_at + i];
    }
}
