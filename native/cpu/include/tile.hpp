// A tile of a matrix product: MR x NR sums stay in registers, while each turn of the innermost loop reads NR neighbours of B
// and one element of A for each row (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS
// 2008). B is packed into panels NR wide.
#pragma once

#include "simd.hpp"

namespace nyx::cpu::NYX_ISA {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int MR = 12;  // 32 vector registers: 24 sums, 2 of B
#else
constexpr int MR = 6;  // 16: 12 sums, 2 of B
#endif
constexpr int NR = 2 * W;

// Element (i, j) is data[i * row + j * col].
struct Matrix {
    const float* data;
    int64_t row, col;
    Matrix at(int64_t i, int64_t j) const { return {data + i * row + j * col, row, col}; }
};

// What becomes of a tile of sums: c = sums, + c when `add`, + bias where there is one.
struct Target {
    float* c;
    int64_t row;
    bool add;
    const float* bias;
};

// M x N*W sums over `depth`; row k of B begins at b + k * b_row.
template <int M, int N>
static __attribute__((noinline)) void tile(int64_t depth, Matrix a, const float* b, int64_t b_row, Target to) {
    Vec sums[M][N];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < N; ++j) sums[i][j] = Vec{};
    for (int64_t k = 0; k < depth; ++k) {
        Vec right[N];
#pragma GCC unroll 2
        for (int j = 0; j < N; ++j) right[j] = load(b + j * W);
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
            const float left = a.data[i * a.row];
#pragma GCC unroll 2
            for (int j = 0; j < N; ++j) sums[i][j] += right[j] * left;
        }
        a.data += a.col;
        b += b_row;
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < N; ++j) {
            float* c = to.c + i * to.row + j * W;
            if (to.add) sums[i][j] += load(c);
            if (to.bias) sums[i][j] += load(to.bias + j * W);
            store(c, sums[i][j]);
        }
    }
}

template <int N, int M = MR>
static inline void tile_of(int64_t rows, int64_t depth, Matrix a, const float* b, int64_t b_row, Target to) {
    if (rows == M) {
        tile<M, N>(depth, a, b, b_row, to);
    } else if constexpr (M > 1) {
        tile_of<N, M - 1>(rows, depth, a, b, b_row, to);
    }
}

// A tile of at most MR rows and NR columns; B must be readable up to the next multiple of W columns.
static void tile_at(int64_t rows, int64_t cols, int64_t depth, Matrix a, const float* b, int64_t b_row, Target to) {
    if (cols == NR) return tile_of<2>(rows, depth, a, b, b_row, to);
    if (cols == W) return tile_of<1>(rows, depth, a, b, b_row, to);
    float edge[MR * NR];
    tile_at(rows, cols > W ? NR : W, depth, a, b, b_row, {edge, NR, false, nullptr});
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; ++j) {
            float& c = to.c[i * to.row + j];
            c = edge[i * NR + j] + (to.add ? c : 0) + (to.bias ? to.bias[j] : 0);
        }
}

static inline int64_t panel_width(int64_t cols) { return cols > W ? NR : W; }

typedef float Four __attribute__((vector_size(16)));
typedef float FourUnaligned __attribute__((vector_size(16), aligned(4), may_alias));

// Elements of a (0 to 3) and b (4 to 7).
template <int I, int J, int K, int L>
static inline Four pick(Four a, Four b) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(a, b, I, J, K, L);
#else
    typedef int32_t FourInts __attribute__((vector_size(16)));
    return __builtin_shuffle(a, b, FourInts{I, J, K, L});
#endif
}

// to[k * width + j] = from[j * row + k] for 4 x 4 elements.
static inline void transpose(const float* from, int64_t row, float* to, int64_t width) {
    const auto at = [&](int64_t j) -> Four { return *reinterpret_cast<const FourUnaligned*>(from + j * row); };
    const auto put = [&](int64_t k, Four v) { *reinterpret_cast<FourUnaligned*>(to + k * width) = v; };
    const Four a = at(0), b = at(1), c = at(2), d = at(3);
    const Four ab_low = pick<0, 4, 1, 5>(a, b), cd_low = pick<0, 4, 1, 5>(c, d);
    const Four ab_high = pick<2, 6, 3, 7>(a, b), cd_high = pick<2, 6, 3, 7>(c, d);
    put(0, pick<0, 1, 4, 5>(ab_low, cd_low));
    put(1, pick<2, 3, 6, 7>(ab_low, cd_low));
    put(2, pick<0, 1, 4, 5>(ab_high, cd_high));
    put(3, pick<2, 3, 6, 7>(ab_high, cd_high));
}

// Packs `cols` <= NR columns of B (depth rows), whose rows or columns have no gaps, into rows of panel_width(cols), filled
// up with zeros.
static void pack(int64_t depth, int64_t cols, Matrix b, float* to) {
    const int64_t width = panel_width(cols);
    if (b.col == 1) {
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t j = 0; j < width; j += W)
                store(to + k * width + j, load(b.data + k * b.row + j, j + W <= cols ? W : j < cols ? cols - j : 0));
        return;
    }
    const int64_t fours = cols / 4 * 4, deep = depth / 4 * 4;
    for (int64_t k = 0; k < deep; k += 4)
        for (int64_t j = 0; j < fours; j += 4) transpose(b.data + k + j * b.col, b.col, to + k * width + j, width);
    for (int64_t k = 0; k < depth; ++k)
        for (int64_t j = k < deep ? fours : 0; j < width; ++j) to[k * width + j] = j < cols ? b.data[k + j * b.col] : 0;
}

}  // namespace nyx::cpu::NYX_ISA
