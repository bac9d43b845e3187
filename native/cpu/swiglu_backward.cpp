// With g, u the halves of x and s = sigmoid(g): dg = dy u (s + g s (1 - s)), du = dy g s.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void swiglu_backward(const Call& call) {
    const float *x = floats(call, 0), *dy = floats(call, 1);
    float* dx = made(call, 2);
    const int64_t F = call.arrays[1].cols;
    parallel(call.arrays[1].rows, rows_each(F, GRAIN / 4), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float *gate = x + 2 * r * F, *up = gate + F, *d = dy + r * F;
            float *dg = dx + 2 * r * F, *du = dg + F;
            vectors(F, [&](int64_t i, int64_t n) {
                const Vec g = load(gate + i, n), s = sigmoid(g), silu = g * s, v = load(d + i, n);
                store(du + i, v * silu, n);
                store(dg + i, v * load(up + i, n) * (s + silu * (1.0f - s)), n);
            });
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
