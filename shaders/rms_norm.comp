#version 450
#extension GL_GOOGLE_include_directive : require
// y = x * rstd, rstd = 1 / sqrt(mean(x^2) + eps) of each row.
// variant :
// variant lane: -DLANE
#include "row.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, binding = 1) writeonly buffer Y4 { vec4 y4[]; };
layout(std430, binding = 2) writeonly buffer Rstd { float rstd[]; };
layout(push_constant) uniform Push { uint x_at, y_at, rstd_at, rows, cols; float eps; };

void main() {
    uint row = row_index(), lane = row_lane();
    if (row >= rows) return;
    uint from = x_at + row * cols, to = y_at + row * cols;
    uint fast = quads(cols, x_at | y_at | cols);

    vec4 squares = vec4(0);
    for (uint i = lane; i < fast; i += ROW_LANES) squares += x4[from / 4u + i] * x4[from / 4u + i];
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) squares.x += x[from + i] * x[from + i];
    float r = 1.0 / sqrt(row_sum(squares) / float(cols) + eps);

    for (uint i = lane; i < fast; i += ROW_LANES) y4[to / 4u + i] = r * x4[from / 4u + i];
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) y[to + i] = r * x[from + i];
    if (lane == 0u) rstd[rstd_at + row] = r;
}
