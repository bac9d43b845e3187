// y[b, t] = x[b, t] + w[start + t]; all NaN where there is no such row.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void positions(const Call& call) {
    const float *x = floats(call, 0), *w = floats(call, 1);
    float* y = made(call, 3);
    const int64_t T = call.arrays[0].dims[1], C = call.arrays[0].cols;
    const int64_t start = ints(call, 2) ? ints(call, 2)[0] : 0;
    const bool there = start >= 0 && start + T <= call.arrays[1].rows;
    parallel(call.arrays[0].rows, rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            if (there) {
                map(C, y + r * C, [](Vec a, Vec b) { return a + b; }, x + r * C, w + (start + r % T) * C);
            } else {
                map(C, y + r * C, [](Vec) { return all(__builtin_nanf("")); }, x + r * C);
            }
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
