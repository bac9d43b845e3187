// dx = dy where y > 0, else 0.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void relu_backward(const Call& call) {
    const float *y = floats(call, 0), *dy = floats(call, 1);
    float* dx = made(call, 2);
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        map(end - at, dx + at, [](Vec v, Vec d) { return d * (v > 0.0f ? all(1) : Vec{}); }, y + at, dy + at);
    });
}

}  // namespace nyx::cpu::NYX_ISA
