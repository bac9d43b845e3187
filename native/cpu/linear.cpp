// y = x w^T + b: x (M, K), w (N, K), y (M, N).
#include "include/gemm.hpp"

namespace nyx::cpu::NYX_ISA {

// Few rows: packing w would cost more than the product, so every y is a dot product with a row of w, ROWS at a time.
constexpr int64_t FEW = 4;
constexpr int ROWS = 4;

static void few(int64_t m, int64_t n, int64_t k, const float* x, const float* w, const float* bias, float* y) {
    parallel(n, larger(ROWS, 8 * GRAIN / k / ROWS * ROWS), [&](int64_t j, int64_t end) {
        for (; j < end; j += ROWS)
            for (int64_t i = 0; i < m; ++i) {
                Vec sums[ROWS] = {};
                const float* rows[ROWS];
                for (int r = 0; r < ROWS; ++r) rows[r] = w + smaller(j + r, end - 1) * k;
                vectors(k, [&](int64_t at, int64_t some) {
                    const Vec v = load(x + i * k + at, some);
                    for (int r = 0; r < ROWS; ++r) sums[r] += v * load(rows[r] + at, some);
                });
                for (int r = 0; r < smaller(ROWS, end - j); ++r) y[i * n + j + r] = sum(sums[r]) + (bias ? bias[j + r] : 0);
            }
    });
}

void linear(const Call& call) {
    const float *x = floats(call, 0), *w = floats(call, 1), *bias = floats(call, 2);
    float* y = made(call, 3);
    const int64_t m = call.arrays[0].rows, n = call.arrays[1].rows, k = call.arrays[1].cols;
    if (m <= FEW) {
        few(m, n, k, x, w, bias, y);
    } else {
        gemm(m, n, k, {x, k, 1}, {w, 1, k}, y, bias);
    }
}

}  // namespace nyx::cpu::NYX_ISA
