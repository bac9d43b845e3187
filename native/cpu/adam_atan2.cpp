// Adam-atan2 with a clipped gradient; the formula of nyx/ops/adam_atan2.py.
#include "include/adam.hpp"

namespace nyx::cpu::NYX_ISA {

// atan2(y, x) for x >= 0, 0 for (0, 0), NaN where either is. The reduction and the polynomial are those of atanf in the
// Cephes library (S. L. Moshier). Between two infinities it is 0.
static inline Vec angle(Vec y, Vec x) {
    const Vec a = abs(y);
    const Ints steep = a > x;
    const Vec low = steep ? x : a, high = steep ? a : x;
    const Ints wide = low > high * 0.41421356f;  // above pi / 8
    const Vec above = low == high ? Vec{} : wide ? low - high : low;
    const Vec t = above / (low == high ? all(1) : wide ? low + high : high);
    const Vec z = t * t;
    Vec p = z * 8.05374449538e-2f - 1.38776856032e-1f;
    p = p * z + 1.99777106478e-1f;
    p = p * z - 3.33329491539e-1f;
    Vec r = p * z * t + t + (wide ? all(0.78539816f) : Vec{});
    r = steep ? 1.57079633f - r : r;
    return y < 0.0f ? -r : r;
}

void adam_atan2(const Call& call) {
    adam_update(call, [](Rates r) {
        const float rate = r.lr / r.c1, root = 1 / __builtin_sqrtf(r.c2);
        return [=](Vec mean, Vec square) { return angle(mean, square_root(square) * root) * rate; };
    });
}

}  // namespace nyx::cpu::NYX_ISA
