// Matrix products on all threads. Every element is summed in one order, whatever the number of threads.
#pragma once

#include "tile.hpp"

namespace nyx::cpu::NYX_ISA {

// C (m, n) = A (m, k) B (k, n) + bias (n); C row-major.
static void gemm(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, float* c, const float* bias) {
    constexpr int64_t DEPTH = 512, BLOCK = 1 << 17;  // at most so many rows and elements of B at once: half a second-level cache
    const int64_t depth_most = (k - 1) / ((k + DEPTH - 1) / DEPTH) + 1, width = BLOCK / depth_most / NR * NR;
    const int64_t tiles = (m + MR - 1) / MR, group = larger(1, smaller(4, tiles / 32));
    const int64_t groups = (tiles + group - 1) / group;
    float* packed = scratch(SHARED, depth_most * (smaller(width, n) + NR));
    for (int64_t j0 = 0; j0 < n; j0 += width) {
        const int64_t cols = smaller(width, n - j0), panels = (cols + NR - 1) / NR;
        // Few rows: their tiles are shared out by columns too.
        const int64_t parts = smaller(panels, (24 + groups - 1) / groups), each = (panels + parts - 1) / parts;
        for (int64_t k0 = 0; k0 < k; k0 += depth_most) {
            const int64_t depth = smaller(depth_most, k - k0);
            parallel(panels, larger(1, GRAIN / 2 / (depth * NR)), [&](int64_t p, int64_t end) {
                for (; p < end; ++p)
                    pack(depth, smaller(NR, cols - p * NR), b.at(k0, j0 + p * NR), packed + p * NR * depth);
            });
            parallel(groups * parts, 1, [&](int64_t item, int64_t) {
                const int64_t first = item / parts * group, last = first + group;
                const int64_t p0 = item % parts * each, p1 = p0 + each;
                for (int64_t i = first * MR; i < smaller(m, last * MR); i += MR) {
                    const int64_t rows = smaller(MR, m - i);
                    const Matrix left = a.at(i, k0);
                    for (int64_t j = p0 * NR; j < smaller(cols, p1 * NR); j += NR) {
                        const int64_t some = smaller(NR, cols - j);
                        Target to = {c + i * n + j0 + j, n, k0 > 0, bias && k0 == 0 ? bias + j0 + j : nullptr};
                        tile_at(rows, some, depth, left, packed + j * depth, panel_width(some), to);
                    }
                }
            });
        }
    }
}

}  // namespace nyx::cpu::NYX_ISA
