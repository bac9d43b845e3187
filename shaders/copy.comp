#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
// y = x, rows of cols words at their own strides; words, since a float may not come through with every bit.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 0) readonly buffer X4 { uvec4 x4[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(std430, binding = 1) writeonly buffer Y4 { uvec4 y4[]; };
layout(push_constant) uniform Push { uint x_at, y_at, x_row, y_row, rows, cols; };

void main() {
    // One long row may end within a quad; the strides do not matter then.
    uint places = x_at | y_at | (rows > 1u ? x_row | y_row | cols : 0u);
    uint wide = cols / 4u, fast = quads(4u * rows * wide, places);
    EACH(i, 0u, fast) {
        uint row = i / wide, col = i % wide;
        y4[(y_at + row * y_row) / 4u + col] = x4[(x_at + row * x_row) / 4u + col];
    }
    EACH(i, 4u * fast, rows * cols) {
        uint row = i / cols, col = i % cols;
        y[y_at + row * y_row + col] = x[x_at + row * x_row + col];
    }
}
