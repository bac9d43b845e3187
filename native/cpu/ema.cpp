// e += (1 - decay) (p - e), unless the control's flag is set.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void ema(const Call& call) {
    const float *p = floats(call, 0), *control = floats(call, 1);
    float* e = made(call, 2);
    if (control[2] != 0) return;
    const float rest = 1 - number(call, "decay");
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        map(end - at, e + at, [&](Vec x, Vec y) { return y + (x - y) * rest; }, p + at, e + at);
    });
}

}  // namespace nyx::cpu::NYX_ISA
