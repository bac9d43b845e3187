// Rotary positions: with (a, b) the halves of a head, (a cos - b sin, b cos + a sin); all NaN where the table has no row for
// a position.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void rope(const Call& call) {
    const Array &x = call.arrays[0], &table = call.arrays[1], &y = call.arrays[3];
    const int64_t T = x.dims[1], width = table.cols, half = width / 2;
    const int64_t start = ints(call, 2) ? ints(call, 2)[0] : 0;
    const bool there = start >= 0 && start + T <= table.rows;
    const float sign = there ? number(call, "inverse") != 0 ? -1 : 1 : __builtin_nanf("");
    parallel(x.rows, rows_each(x.cols), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* turns = floats(call, 1) + (there ? start + r % T : 0) * width;
            for (int64_t head = 0; head < x.cols; head += width) {
                const float *from = floats(call, 0) + r * x.row + head;
                float* to = made(call, 3) + r * y.row + head;
                vectors(half, [&](int64_t i, int64_t n) {
                    const Vec a = load(from + i, n), b = load(from + half + i, n);
                    const Vec c = load(turns + i, n), s = load(turns + half + i, n) * sign;
                    store(to + i, a * c - b * s, n);
                    store(to + half + i, b * c + a * s, n);
                });
            }
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
