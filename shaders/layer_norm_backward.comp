#version 450
#extension GL_GOOGLE_include_directive : require
// dx by rows (plain, LANE); dw and db in two stages: STRIPS makes part (strip, dw or db, cols), SUM adds up the strips.
// With h = (x - mean) * rstd and g = dy * w: dx = rstd * (g - mean(g) - h * mean(g * h)), dw = sum dy * h, db = sum dy.
// variant :
// variant lane: -DLANE
// variant strips: -DSTRIPS
// variant sum: -DSUM
#if defined(STRIPS) || defined(SUM)
#include "lanes.glsl"
layout(local_size_x = 64) in;
#else
#include "row.glsl"
#endif
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, binding = 2) readonly buffer Mean { float mean[]; };
layout(std430, binding = 3) readonly buffer Rstd { float rstd[]; };
layout(std430, binding = 4) readonly buffer Dy { float dy[]; };
layout(std430, binding = 4) readonly buffer Dy4 { vec4 dy4[]; };
layout(std430, binding = 5) writeonly buffer Dx { float dx[]; };
layout(std430, binding = 5) writeonly buffer Dx4 { vec4 dx4[]; };
layout(std430, binding = 6) writeonly buffer Dw { float dw[]; };
layout(std430, binding = 7) writeonly buffer Db { float db[]; };
#ifdef SUM
layout(std430, binding = 8) readonly buffer Part { float part[]; };
#else
layout(std430, binding = 8) writeonly buffer Part { float part[]; };
layout(std430, binding = 8) writeonly buffer Part4 { vec4 part4[]; };
#endif
layout(push_constant) uniform Push {
    uint x_at, w_at, mean_at, rstd_at, dy_at, dx_at, dw_at, db_at, part_at, rows, cols, strips, has_dw, has_db;
};

#if defined(STRIPS)
void main() {
    uint wide = (cols + 3u) / 4u, strip = flat_index() / wide, col = 4u * (flat_index() % wide);
    if (strip >= strips) return;
    uint each = (rows + strips - 1u) / strips, from = min(strip * each, rows), to = min(from + each, rows);
    uint at = part_at + strip * 2u * cols;
    uint fast = quads(4u, x_at | dy_at | part_at | cols);  // 1 or 0 quads

    vec4 dw4 = vec4(0), db4 = vec4(0);
    for (uint r = from; r < to * fast; ++r) {
        vec4 d = dy4[(dy_at + r * cols + col) / 4u];
        dw4 += d * ((x4[(x_at + r * cols + col) / 4u] - mean[mean_at + r]) * rstd[rstd_at + r]);
        db4 += d;
    }
    if (fast == 1u) {
        part4[(at + col) / 4u] = dw4;
        part4[(at + cols + col) / 4u] = db4;
    }
    uint end = fast == 1u ? col : min(col + 4u, cols);
    for (uint c = col; c < end; ++c) {
        vec2 sums = vec2(0);
        for (uint r = from; r < to; ++r) {
            float h = (x[x_at + r * cols + c] - mean[mean_at + r]) * rstd[rstd_at + r];
            sums += dy[dy_at + r * cols + c] * vec2(h, 1.0);
        }
        part[at + c] = sums.x;
        part[at + cols + c] = sums.y;
    }
}
#elif defined(SUM)
void main() {
    uint c = flat_index();
    if (c >= cols) return;
    vec2 sums = vec2(0);
    for (uint k = 0u, at = part_at + c; k < strips; ++k, at += 2u * cols) sums += vec2(part[at], part[at + cols]);
    if (has_dw != 0u) dw[dw_at + c] = sums.x;
    if (has_db != 0u) db[db_at + c] = sums.y;
}
#else
void main() {
    uint row = row_index(), lane = row_lane();
    if (row >= rows) return;
    uint a = x_at + row * cols, b = dy_at + row * cols, to = dx_at + row * cols;
    uint fast = quads(cols, x_at | w_at | dy_at | dx_at | cols);
    float m = mean[mean_at + row], r = rstd[rstd_at + row];

    vec4 sum = vec4(0), products = vec4(0);
    for (uint i = lane; i < fast; i += ROW_LANES) {
        vec4 g = dy4[b / 4u + i] * w4[w_at / 4u + i];
        sum += g;
        products += g * ((x4[a / 4u + i] - m) * r);
    }
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) {
        float g = dy[b + i] * w[w_at + i];
        sum.x += g;
        products.x += g * ((x[a + i] - m) * r);
    }
    float level = row_sum(sum) / float(cols), slope = row_sum(products) / float(cols);

    for (uint i = lane; i < fast; i += ROW_LANES) {
        vec4 h = (x4[a / 4u + i] - m) * r;
        dx4[to / 4u + i] = r * (dy4[b / 4u + i] * w4[w_at / 4u + i] - level - h * slope);
    }
    for (uint i = 4u * fast + lane; i < cols; i += ROW_LANES) {
        float h = (x[a + i] - m) * r;
        dx[to + i] = r * (dy[b + i] * w[w_at + i] - level - h * slope);
    }
}
#endif
