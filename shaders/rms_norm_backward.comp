#version 450
#extension GL_GOOGLE_include_directive : require
// dx = rstd * (dy - y * mean(dy * y)) of each row.
// variant :
// variant lane: -DLANE
#include "row.glsl"
layout(std430, binding = 0) readonly buffer Y { float y[]; };
layout(std430, binding = 0) readonly buffer Y4 { vec4 y4[]; };
layout(std430, binding = 1) readonly buffer Rstd { float rstd[]; };
layout(std430, binding = 2) readonly buffer Dy { float dy[]; };
layout(std430, binding = 2) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 3) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 3) writeonly buffer Dx4 { vec4 dx4[]; };
layout(push_constant) uniform Push { uint y_at, rstd_at, dy_at, dx_at, rows, cols; };

void main() {
    uint row = row_index(), lane = row_lane();
    if (row >= rows) return;
    uint a = y_at + row * cols, b = dy_at + row * cols, to = dx_at + row * cols;
    uint fast = quads(cols, y_at | dy_at | dx_at | cols);

    vec4 products = vec4(0);
    for (uint i = lane; i < fast; i += ROW_LANES) products += y4[a / 4u + i] * dy4[b / 4u + i];
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) products.x += y[a + i] * dy[b + i];
    float mean = row_sum(products) / float(cols), r = rstd[rstd_at + row];

    for (uint i = lane; i < fast; i += ROW_LANES) dx4[to / 4u + i] = r * (dy4[b / 4u + i] - mean * y4[a / 4u + i]);
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) dx[to + i] = r * (dy[b + i] - mean * y[a + i]);
}
