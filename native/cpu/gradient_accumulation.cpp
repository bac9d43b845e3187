// acc += g.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void gradient_accumulation(const Call& call) {
    const float* g = floats(call, 0);
    float* acc = made(call, 1);
    stretches(
        [&](int64_t n, int64_t from, int64_t to) {
            map(n, acc + to, [](Vec a, Vec b) { return a + b; }, acc + to, g + from);
        },
        call.arrays[0], call.arrays[1]);
}

}  // namespace nyx::cpu::NYX_ISA
