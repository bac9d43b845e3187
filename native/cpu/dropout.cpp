// y = x keep / (1 - rate), with keep drawn for every element.
#include "include/philox.hpp"

namespace nyx::cpu::NYX_ISA {

void dropout(const Call& call) {
    const float* x = floats(call, 0);
    const uint32_t* counter = static_cast<const uint32_t*>(call.arrays[1].data);
    float* y = made(call, 2);
    const float rate = number(call, "rate"), scale = 1 / (1 - number(call, "rate"));
    const uint32_t stream = number(call, "stream");
    const uint64_t start = counter[3] * static_cast<uint64_t>(size(call.arrays[0]) / call.arrays[0].dims[0]);
    parallel(size(call.arrays[0]), GRAIN / 4, [&](int64_t at, int64_t end) {
        drawn(counter, stream, start + at, end - at, [&](int64_t i, int64_t n, const float* uniform) {
            const auto drop = [&](Vec v, Vec u) { return v * (u < rate ? Vec{} : all(1)) * scale; };
            map(n, y + at + i, drop, x + at + i, uniform);
        });
    });
}

}  // namespace nyx::cpu::NYX_ISA
