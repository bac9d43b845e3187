// y = x rstd with rstd = 1 / sqrt(mean(x^2) + eps) per row.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void rms_norm(const Call& call) {
    const float* x = floats(call, 0);
    float *y = made(call, 1), *rstd = made(call, 2);
    const int64_t C = call.arrays[0].cols;
    const float eps = number(call, "eps");
    parallel(call.arrays[0].rows, rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* row = x + r * C;
            const float squares = total(C, [&](int64_t i, int64_t n) { return load(row + i, n) * load(row + i, n); });
            const float by = rstd[r] = 1 / __builtin_sqrtf(squares / C + eps);
            map(C, y + r * C, [&](Vec v) { return v * by; }, row);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
