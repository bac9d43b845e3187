// control = (scale, norm, bad, bad step) from the partial sums of grad_norm; the rules of nyx/ops/clip.py.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void clip(const Call& call) {
    const float *partials = floats(call, 0), *hyper = floats(call, 1);
    float* control = made(call, 2);
    const float squares = total(size(call.arrays[0]), [&](int64_t i, int64_t n) { return load(partials + i, n); });
    const float norm = __builtin_sqrtf(squares), max_norm = hyper[1], factor = max_norm / (norm + 1e-6f);
    const bool finite = norm - norm == 0;
    control[0] = !finite ? 0 : max_norm > 0 && factor < 1 ? factor : 1;
    control[1] = norm;
    if (finite || control[2] != 0) return;
    control[2] = 1;
    control[3] = hyper[2];
}

}  // namespace nyx::cpu::NYX_ISA
