#version 450
#extension GL_GOOGLE_include_directive : require
#include "index.glsl"
#include "fours.glsl"
// Element j of a head and its partner half a width away turn by the angle of their position; the formula is in
// nyx/ops/rope.py. An invocation turns four neighbouring pairs. NaN where start leaves no room in the table.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, binding = 1) readonly buffer Table { float table[]; };
layout(std430, binding = 1) readonly buffer Table4 { vec4 table4[]; };
layout(std430, binding = 2) readonly buffer Start { int start[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) writeonly buffer Y4 { vec4 y4[]; };
layout(push_constant) uniform Push {
    uint x_at, table_at, start_at, y_at, x_row, y_row, rows, time, n_head, half_width, room, has_start, fours;
    float direction;
};

uint in_x, in_y, in_table;
FETCH(fetch_low, x, in_x, 1, half_width, 0, fours != 0)
FETCH(fetch_high, x, (in_x + half_width), 1, half_width, 0, fours != 0)
FETCH(fetch_cos, table, in_table, 1, half_width, 0, fours != 0)
FETCH(fetch_sin, table, (in_table + half_width), 1, half_width, 0, fours != 0)
STORE(store_low, y, in_y, 1, half_width, 0, fours != 0)
STORE(store_high, y, (in_y + half_width), 1, half_width, 0, fours != 0)

void main() {
    uint each = (half_width + 3) / 4, j = flat_index() % each * 4, head = flat_index() / each % n_head;
    uint row = flat_index() / each / n_head;
    if (row >= rows) return;
    uint first = has_start != 0 ? uint(start[start_at]) : 0, position = first <= room ? first + row % time : 0;
    in_x = x_at + row * x_row + head * half_width * 2;
    in_y = y_at + row * y_row + head * half_width * 2;
    in_table = table_at + position * half_width * 2;
    vec4 low = fetch_low(0, j), high = fetch_high(0, j), c = fetch_cos(0, j), s = fetch_sin(0, j) * direction;
    if (first > room) c = vec4(uintBitsToFloat(0x7FC00000u));
    store_low(0, j, low * c - high * s);
    store_high(0, j, high * c + low * s);
}
