// table[rows[b]] = x[b], for the rows that the table has.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void put_rows(const Call& call) {
    const float* x = floats(call, 0);
    const int32_t* rows = ints(call, 1);
    float* table = made(call, 2);
    const int64_t C = call.arrays[0].cols, R = call.arrays[2].rows;
    parallel(size(call.arrays[1]), rows_each(C), [&](int64_t r, int64_t end) {
        for (; r < end; ++r)
            if (rows[r] >= 0 && rows[r] < R) __builtin_memcpy(table + rows[r] * C, x + r * C, C * 4);
    });
}

}  // namespace nyx::cpu::NYX_ISA
