// a, b = b, a.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void swap(const Call& call) {
    float *a = made(call, 0), *b = made(call, 1);
    parallel(size(call.arrays[0]), GRAIN, [&](int64_t at, int64_t end) {
        vectors(end - at, [&](int64_t i, int64_t n) {
            const Vec before = load(a + at + i, n);
            store(a + at + i, load(b + at + i, n), n);
            store(b + at + i, before, n);
        });
    });
}

}  // namespace nyx::cpu::NYX_ISA
