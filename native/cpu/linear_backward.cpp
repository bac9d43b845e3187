// For y = x w^T + b: dx = dy w (M, K), dw = dy^T x (N, K), db = dy summed over its rows (N,).
#include "include/gemm.hpp"

namespace nyx::cpu::NYX_ISA {

void linear_backward(const Call& call) {
    const float *x = floats(call, 0), *w = floats(call, 1), *dy = floats(call, 2);
    float *dx = made(call, 3), *dw = made(call, 4), *db = made(call, 5);
    const int64_t m = call.arrays[0].rows, n = call.arrays[1].rows, k = call.arrays[1].cols;
    if (dx) gemm(m, k, n, {dy, n, 1}, {w, k, 1}, dx, nullptr);
    if (dw) gemm(n, k, m, {dy, 1, n}, {x, k, 1}, dw, nullptr);
    if (!db) return;
    parallel(n, larger(W, GRAIN / m / W * W), [&](int64_t j, int64_t end) {
        __builtin_memset(db + j, 0, (end - j) * 4);
        for (int64_t i = 0; i < m; ++i) map(end - j, db + j, [](Vec a, Vec d) { return a + d; }, db + j, dy + i * n + j);
    });
}

}  // namespace nyx::cpu::NYX_ISA
