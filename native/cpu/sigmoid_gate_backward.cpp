// With s = sigmoid(gate): dx = dy s, dgate = dy x s (1 - s).
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void sigmoid_gate_backward(const Call& call) {
    const float *x = floats(call, 0), *gate = floats(call, 1), *dy = floats(call, 2);
    float *dx = made(call, 3), *dgate = made(call, 4);
    const auto part = [&](int64_t length, int64_t at, int64_t from, int64_t to) {
        vectors(length, [&](int64_t i, int64_t n) {
            const Vec s = sigmoid(load(gate + from + i, n)), d = load(dy + at + i, n) * s;
            store(dx + at + i, d, n);
            store(dgate + to + i, d * load(x + at + i, n) * (1.0f - s), n);
        });
    };
    stretches(part, call.arrays[0], call.arrays[1], call.arrays[4]);
}

}  // namespace nyx::cpu::NYX_ISA
