// y = max(x, 0), NaN where x is NaN.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void relu(const Call& call) {
    const float* x = floats(call, 0);
    float* y = made(call, 1);
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        map(end - at, y + at, [](Vec v) { return v < 0.0f ? Vec{} : v; }, x + at);
    });
}

}  // namespace nyx::cpu::NYX_ISA
