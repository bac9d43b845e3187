// y = x sigmoid(gate).
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void sigmoid_gate(const Call& call) {
    const float *x = floats(call, 0), *gate = floats(call, 1);
    float* y = made(call, 2);
    stretches(
        [&](int64_t n, int64_t at, int64_t from, int64_t) {
            map(n, y + at, [](Vec v, Vec g) { return v * sigmoid(g); }, x + at, gate + from);
        },
        call.arrays[0], call.arrays[1], call.arrays[2]);
}

}  // namespace nyx::cpu::NYX_ISA
