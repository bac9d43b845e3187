// y = silu(x[..., :F]) * x[..., F:], silu(g) = g sigmoid(g).
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void swiglu(const Call& call) {
    const float* x = floats(call, 0);
    float* y = made(call, 1);
    const int64_t F = call.arrays[1].cols;
    parallel(call.arrays[1].rows, rows_each(F, GRAIN / 4), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* gate = x + 2 * r * F;
            map(F, y + r * F, [](Vec g, Vec u) { return g * sigmoid(g) * u; }, gate, gate + F);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
