// y[b, t] = scale * w[tokens[b, t]]; NaN for a token that is no row of w.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void embedding(const Call& call) {
    const int32_t* tokens = ints(call, 0);
    const float* w = floats(call, 1);
    float* y = made(call, 2);
    const int64_t V = call.arrays[1].rows, C = call.arrays[1].cols;
    const float factor = number(call, "scale");
    parallel(size(call.arrays[0]), rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const bool known = tokens[r] >= 0 && tokens[r] < V;
            const float by = known ? factor : __builtin_nanf("");
            map(C, y + r * C, [&](Vec v) { return v * by; }, w + (known ? tokens[r] : 0) * C);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
