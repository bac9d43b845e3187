// dw[t] = the sum of dy[b, t] over b; zero for t >= T.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void positions_backward(const Call& call) {
    const float* dy = floats(call, 0);
    float* dw = made(call, 1);
    const int64_t B = call.arrays[0].dims[0], T = call.arrays[0].dims[1], C = call.arrays[0].cols;
    parallel(call.arrays[1].rows, rows_each(B * C), [&](int64_t t, int64_t end) {
        for (; t < end; ++t) {
            float* sum = dw + t * C;
            __builtin_memset(sum, 0, C * 4);
            for (int64_t b = 0; t < T && b < B; ++b)
                map(C, sum, [](Vec a, Vec d) { return a + d; }, sum, dy + (b * T + t) * C);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
