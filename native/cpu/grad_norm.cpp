// The sum of squares of each `each` elements of g.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

constexpr int64_t UNIT = 8192;  // `each` is a multiple of it, the least one that makes so many sums

static float squares(const float* x, int64_t n) {
    constexpr int LANES = 4;
    Vec sums[LANES] = {};
    int64_t i = 0;
    for (; i + LANES * W <= n; i += LANES * W)
        for (int j = 0; j < LANES; ++j) sums[j] += load(x + i + j * W) * load(x + i + j * W);
    for (; i < n; i += W) {
        const Vec v = load(x + i, n - i < W ? n - i : W);
        sums[0] += v * v;
    }
    return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void grad_norm(const Call& call) {
    const float* g = floats(call, 0);
    float* partial = made(call, 1);
    const int64_t n = size(call.arrays[0]), count = size(call.arrays[1]);
    const int64_t each = (n + UNIT * count - 1) / (UNIT * count) * UNIT;
    parallel(count, rows_each(each, 2 * GRAIN), [&](int64_t i, int64_t end) {
        for (; i < end; ++i) partial[i] = squares(g + i * each, n - i * each < each ? n - i * each : each);
    });
}

}  // namespace nyx::cpu::NYX_ISA
