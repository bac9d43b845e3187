// dx = rstd (dy - y mean(dy y)) per row.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void rms_norm_backward(const Call& call) {
    const float *y = floats(call, 0), *rstd = floats(call, 1), *dy = floats(call, 2);
    float* dx = made(call, 3);
    const int64_t C = call.arrays[0].cols;
    parallel(call.arrays[0].rows, rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float *d = dy + r * C, *row = y + r * C, by = rstd[r];
            const float mean = total(C, [&](int64_t i, int64_t n) { return load(d + i, n) * load(row + i, n); }) / C;
            map(C, dx + r * C, [&](Vec g, Vec v) { return (g - v * mean) * by; }, d, row);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
