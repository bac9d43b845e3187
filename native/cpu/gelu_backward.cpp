// dx = dy (P(N <= x) + x density(x)), or the derivative of gelu's tanh form; the formulas of nyx/ops/gelu_backward.py.
#include "include/normal.hpp"

namespace nyx::cpu::NYX_ISA {

// With r = P(N > |x|) - |x| density(x): r for x <= 0, 1 - r for x > 0.
static inline Vec slope(Vec x) {
    const Vec z = abs(x), e = bell(x);
    const Vec r = tail(z, e) - e * z * 0.3989422804014327f;
    return x > 0.0f ? 1.0f - r : r;
}

// s (1 + x (1 - s) (2 u)') with s = sigmoid(2 u) and 1 - s = exp(-2 u) s.
static inline Vec slope_tanh(Vec x) {
    const Vec e = exp(min(-doubled(x), all(80)));  // above, s is 0 to rounding; exp must not overflow
    const Vec s = 1.0f / (e + 1.0f);
    return (e * s * x * (x * x * (3 * CUBIC) + LINEAR) + 1.0f) * s;
}

void gelu_backward(const Call& call) {
    const float *x = floats(call, 0), *dy = floats(call, 1);
    float* dx = made(call, 2);
    const bool tanh_form = is(call, "approximate", "tanh");
    parallel(size(call.arrays[0]), GRAIN / 4, [&](int64_t at, int64_t end) {
        if (tanh_form) {
            map(end - at, dx + at, [](Vec v, Vec d) { return slope_tanh(v) * d; }, x + at, dy + at);
        } else {
            map(end - at, dx + at, [](Vec v, Vec d) { return slope(v) * d; }, x + at, dy + at);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
