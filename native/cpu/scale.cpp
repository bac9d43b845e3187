// y = factor * x.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void scale(const Call& call) {
    const float* x = floats(call, 0);
    float* y = made(call, 1);
    const float factor = number(call, "factor");
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        map(end - at, y + at, [&](Vec v) { return v * factor; }, x + at);
    });
}

}  // namespace nyx::cpu::NYX_ISA
