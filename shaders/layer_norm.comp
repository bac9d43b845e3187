#version 450
#extension GL_GOOGLE_include_directive : require
// y = (x - mean) * rstd * w + b of each row; the variance is taken around the mean, in a second pass over the row.
// variant :
// variant lane: -DLANE
#include "row.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) readonly buffer B { float b[]; };
layout(std430, binding = 2) readonly buffer B4 { vec4 b4[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) writeonly buffer Y4 { vec4 y4[]; };
layout(std430, binding = 4) writeonly buffer Mean { float mean[]; };
layout(std430, binding = 5) writeonly buffer Rstd { float rstd[]; };
layout(push_constant) uniform Push { uint x_at, w_at, b_at, y_at, mean_at, rstd_at, rows, cols, has_b; float eps; };

void main() {
    uint row = row_index(), lane = row_lane();
    if (row >= rows) return;
    uint from = x_at + row * cols, to = y_at + row * cols;
    uint fast = quads(cols, x_at | w_at | b_at | y_at | cols);

    vec4 sum = vec4(0);
    for (uint i = lane; i < fast; i += ROW_LANES) sum += x4[from / 4u + i];
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) sum.x += x[from + i];
    float m = row_sum(sum) / float(cols);

    vec4 squares = vec4(0);
    for (uint i = lane; i < fast; i += ROW_LANES) {
        vec4 d = x4[from / 4u + i] - m;
        squares += d * d;
    }
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) squares.x += (x[from + i] - m) * (x[from + i] - m);
    float r = 1.0 / sqrt(row_sum(squares) / float(cols) + eps);

    for (uint i = lane; i < fast; i += ROW_LANES) {
        vec4 v = (x4[from / 4u + i] - m) * r * w4[w_at / 4u + i];
        if (has_b != 0u) v += b4[b_at / 4u + i];
        y4[to / 4u + i] = v;
    }
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) {
        float v = (x[from + i] - m) * r * w[w_at + i];
        if (has_b != 0u) v += b[b_at + i];
        y[to + i] = v;
    }
    if (lane == 0u) {
        mean[mean_at + row] = m;
        rstd[rstd_at + row] = r;
    }
}
