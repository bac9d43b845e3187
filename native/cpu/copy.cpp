// y = x, for any elements of 4 bytes.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void copy(const Call& call) {
    const float* x = floats(call, 0);
    float* y = made(call, 1);
    stretches(
        [&](int64_t n, int64_t from, int64_t to) { __builtin_memcpy(y + to, x + from, n * 4); },
        call.arrays[0], call.arrays[1]);
}

}  // namespace nyx::cpu::NYX_ISA
