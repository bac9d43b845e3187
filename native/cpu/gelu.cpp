// y = x P(N <= x) = max(x, 0) - |x| P(N > |x|), or its tanh form x sigmoid(2 u).
#include "include/normal.hpp"

namespace nyx::cpu::NYX_ISA {

void gelu(const Call& call) {
    const float* x = floats(call, 0);
    float* y = made(call, 1);
    const bool tanh_form = is(call, "approximate", "tanh");
    parallel(size(call.arrays[0]), GRAIN / 4, [&](int64_t at, int64_t end) {
        if (tanh_form) {
            map(end - at, y + at, [](Vec v) { return sigmoid(doubled(v)) * v; }, x + at);
            return;
        }
        const auto exact = [](Vec v) {
            const Vec z = abs(v);
            return (z + v) * 0.5f - tail(z, bell(v)) * z;
        };
        map(end - at, y + at, exact, x + at);
    });
}

}  // namespace nyx::cpu::NYX_ISA
