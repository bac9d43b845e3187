// What attention and its backward share. A work item is one head of one sample; queries go MR at a time.
#pragma once

#include "tile.hpp"
#include "philox.hpp"

namespace nyx::cpu::NYX_ISA {

constexpr int64_t QUERIES = 96;  // a block of queries: a multiple of MR

struct Shape {
    int64_t B, T, H, D;
    float scale;  // 1 / sqrt(D)
};

static inline Shape shape_of(const Call& call) {
    const Array& q = call.arrays[0];
    const int64_t H = number(call, "n_head"), D = q.dims[2] / H;
    return {q.dims[0], q.dims[1], H, D, static_cast<float>(1 / __builtin_sqrt(D))};
}

// Where the head of an item begins in a tensor (B, T, C), and its row stride.
static inline Matrix head_of(const Array& a, const Shape& s, int64_t item) {
    return {static_cast<const float*>(a.data) + item / s.H * s.T * a.row + item % s.H * s.D, a.row, 1};
}

static inline int64_t padded(int64_t n) { return (n + NR - 1) / NR * NR; }

// The n rows of a head as columns: (D, n), in panels.
static inline void pack_columns(int64_t n, int64_t D, Matrix rows, float* to) {
    for (int64_t j = 0; j < n; j += NR) pack(D, smaller(NR, n - j), {rows.data + j * rows.row, 1, rows.row}, to + j * D);
}

// The n rows of a head as the right side of a product; packed only where a vector would reach beyond a row.
struct Rows {
    const float* data;
    int64_t n, row;
    bool packed;
    const float* panel(int64_t first, int64_t d) const { return packed ? data + d * n + first * width(d) : data + first * row + d; }
    int64_t width(int64_t d) const { return packed ? panel_width(row - d) : row; }
};

static inline Rows rows_of(int64_t n, int64_t D, Matrix head, float* room) {
    if (D % W == 0) return {head.data, n, head.row, false};
    for (int64_t d = 0; d < D; d += NR) pack(n, smaller(NR, D - d), {head.data + d, head.row, 1}, room + d * n);
    return {room, n, D, true};
}

static inline int64_t rows_room(int64_t n, int64_t D) { return D % W ? n * padded(D) : 0; }

// c (rows, D) = a (rows, depth) times `depth` rows of the head from `first` on.
static inline void times_rows(int64_t rows, int64_t D, int64_t depth, Matrix a, const Rows& b, int64_t first, Target c) {
    for (int64_t d = 0; d < D; d += NR)
        tile_at(rows, smaller(NR, D - d), depth, a, b.panel(first, d), b.width(d), {c.c + d, c.row, c.add, nullptr});
}

// c (rows, row) = a (rows, D) times packed columns 0 .. cols - 1 of n; c is written up to whole vectors.
static inline void times_columns(int64_t rows, int64_t D, int64_t cols, int64_t n, Matrix a, const float* b, float* c, int64_t row) {
    for (int64_t j = 0; j < cols; j += NR) {
        const int64_t width = panel_width(n - j);
        tile_at(rows, width, D, a, b + j * D, width, {c + j, row, false, nullptr});
    }
}

// Dropout of attention weights: weight (b, h, i, j) is element (((first sample + b) H + h) T + i) T + j of the stream.
struct Dropout {
    const uint32_t* counter;
    uint32_t stream;
    float rate, kept;

    // The factors of weights (i, 0 .. n-1) of an item: 0 or 1 / (1 - rate).
    void factors(const Shape& s, int64_t item, int64_t i, int64_t n, float* to) const {
        const uint64_t start = ((counter[3] * static_cast<uint64_t>(s.H) + item) * s.T + i) * s.T;
        drawn(counter, stream, start, n, [&](int64_t at, int64_t some, const float* uniform) {
            map(some, to + at, [&](Vec u) { return u < rate ? Vec{} : all(kept); }, uniform);
        });
    }
};

static inline Dropout dropout_of(const Call& call, int counter) {
    const double rate = number(call, "rate");
    return {static_cast<const uint32_t*>(call.arrays[counter].data), static_cast<uint32_t>(number(call, "stream")),
            static_cast<float>(rate), static_cast<float>(1 / (1 - rate))};
}

}  // namespace nyx::cpu::NYX_ISA
