// What the Adam kernels share: the moments of a clipped gradient; see nyx/ops/_adam.py.
#pragma once

#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

// The numbers of this update: lr, and the bias corrections c1 and c2.
struct Rates {
    float lr, c1, c2;
};

// make(rates) gives the function that makes of the new moments (a vector each) what is subtracted from p.
template <class Make>
static inline void adam_update(const Call& call, const Make& make) {
    const float *g = floats(call, 0), *hyper = floats(call, 1), *control = floats(call, 2);
    float *p = made(call, 3), *m = made(call, 4), *v = made(call, 5);
    if (control[2] != 0) return;
    const float* own = hyper + 4 * static_cast<int64_t>(number(call, "row"));
    const float clip = control[0], rest1 = 1 - number(call, "beta1"), beta2 = number(call, "beta2");
    const float rest2 = 1 - number(call, "beta2"), keep = 1 - hyper[0] * own[0];
    const auto direction = make(Rates{hyper[0], own[1], own[2]});
    parallel(size(call.arrays[0]), GRAIN / 2, [&](int64_t at, int64_t end) {
        vectors(end - at, [&](int64_t i, int64_t n) {
            const Vec x = load(g + at + i, n) * clip;
            Vec mean = load(m + at + i, n), square = load(v + at + i, n);
            mean += (x - mean) * rest1;
            square = square * beta2 + x * x * rest2;
            store(m + at + i, mean, n);
            store(v + at + i, square, n);
            store(p + at + i, load(p + at + i, n) * keep - direction(mean, square), n);
        });
    });
}

}  // namespace nyx::cpu::NYX_ISA
