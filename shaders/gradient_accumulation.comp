#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
// acc += g, both with rows at any stride. An invocation takes four columns of a row.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer G { float g[]; };
layout(std430, binding = 0) readonly buffer G4 { vec4 g4[]; };
layout(std430, binding = 1) buffer Acc { float acc[]; };
layout(std430, binding = 1) buffer Acc4 { vec4 acc4[]; };
layout(push_constant) uniform Push { uint g_at, acc_at, g_row, acc_row, rows, columns; };

void main() {
    uint quads = (columns + 3u) / 4u, row = flat_index() / quads, column = 4u * (flat_index() % quads);
    if (row >= rows) return;
    uint from = g_at + row * g_row + column, to = acc_at + row * acc_row + column;
    if (column + 4u <= columns && ((from | to) & 3u) == 0u) {
        acc4[to / 4u] += g4[from / 4u];
    } else {
        for (uint k = 0u; k < 4u; ++k)
            if (column + k < columns) acc[to + k] += g[from + k];
    }
}
