// AdamW with a clipped gradient; the formula of nyx/ops/adam.py.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void adam(const Call& call) {
    const float *g = floats(call, 0), *hyper = floats(call, 1), *control = floats(call, 2);
    float *p = made(call, 3), *m = made(call, 4), *v = made(call, 5);
    if (control[2] != 0) return;
    const float* own = hyper + 4 * static_cast<int64_t>(number(call, "row"));
    const float clip = control[0], rest1 = 1 - number(call, "beta1"), beta2 = number(call, "beta2");
    const float rest2 = 1 - number(call, "beta2"), eps = number(call, "eps");
    const float keep = 1 - hyper[0] * own[0], rate = hyper[0] / own[1], root = 1 / __builtin_sqrtf(own[2]);
    parallel(size(call.arrays[0]), GRAIN / 2, [&](int64_t at, int64_t end) {
        vectors(end - at, [&](int64_t i, int64_t n) {
            const Vec x = load(g + at + i, n) * clip;
            Vec mean = load(m + at + i, n), square = load(v + at + i, n);
            mean += (x - mean) * rest1;
            square = square * beta2 + x * x * rest2;
            store(m + at + i, mean, n);
            store(v + at + i, square, n);
            const Vec step = mean / (square_root(square) * root + eps) * rate;
            store(p + at + i, load(p + at + i, n) * keep - step, n);
        });
    });
}

}  // namespace nyx::cpu::NYX_ISA
