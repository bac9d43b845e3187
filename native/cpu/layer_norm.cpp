// y = (x - mean) rstd w + b per row, rstd = 1 / sqrt(var + eps).
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void layer_norm(const Call& call) {
    const float *x = floats(call, 0), *w = floats(call, 1), *b = floats(call, 2);
    float *y = made(call, 3), *mean = made(call, 4), *rstd = made(call, 5);
    const int64_t C = call.arrays[0].cols;
    const float eps = number(call, "eps");
    parallel(call.arrays[0].rows, rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* row = x + r * C;
            const float middle = mean[r] = total(C, [&](int64_t i, int64_t n) { return load(row + i, n); }) / C;
            const float squares = total(C, [&](int64_t i, int64_t n) {
                const Vec d = load(row + i, n, middle) - middle;
                return d * d;
            });
            const float by = rstd[r] = 1 / __builtin_sqrtf(squares / C + eps);
            if (b) {
                map(C, y + r * C, [&](Vec v, Vec w, Vec b) { return (v - middle) * by * w + b; }, row, w, b);
            } else {
                map(C, y + r * C, [&](Vec v, Vec w) { return (v - middle) * by * w; }, row, w);
            }
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
