// y = a + b, where b repeats when it is shorter.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void add(const Call& call) {
    const float *a = floats(call, 0), *b = floats(call, 1);
    float* y = made(call, 2);
    const int64_t period = size(call.arrays[1]);
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        while (at < end) {
            const int64_t from = at % period, n = end - at < period - from ? end - at : period - from;
            map(n, y + at, [](Vec a, Vec b) { return a + b; }, a + at, b + from);
            at += n;
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
