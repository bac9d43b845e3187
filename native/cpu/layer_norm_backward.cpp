// With h = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - h mean(g h)) per row; dw and db are the sums of dy h and
// of dy over all rows, first over strips of rows, then over the strips.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

constexpr int64_t STRIP = 64;  // rows

void layer_norm_backward(const Call& call) {
    const float *x = floats(call, 0), *w = floats(call, 1), *mean = floats(call, 2), *rstd = floats(call, 3);
    const float* dy = floats(call, 4);
    float *dx = made(call, 5), *dw = made(call, 6), *db = made(call, 7);
    const int64_t rows = call.arrays[0].rows, C = call.arrays[0].cols, strips = (rows + STRIP - 1) / STRIP;
    float* parts = scratch(SHARED, 2 * strips * C);
    parallel(rows, STRIP, [&](int64_t r, int64_t end) {
        float *dw_part = parts + r / STRIP * 2 * C, *db_part = dw_part + C;
        __builtin_memset(dw_part, 0, 2 * C * 4);
        for (; r < end; ++r) {
            const float *row = x + r * C, *d = dy + r * C, middle = mean[r], by = rstd[r];
            Vec g_sum = {}, gh_sum = {};
            vectors(C, [&](int64_t i, int64_t n) {
                const Vec v = load(d + i, n), h = (load(row + i, n) - middle) * by, g = v * load(w + i, n);
                g_sum += g;
                gh_sum += g * h;
                store(dw_part + i, load(dw_part + i, n) + v * h, n);
                store(db_part + i, load(db_part + i, n) + v, n);
                if (dx) store(dx + r * C + i, g, n);
            });
            const float g_mean = sum(g_sum) / C, gh_mean = sum(gh_sum) / C;
            const auto slope = [&](Vec g, Vec x) { return (g - g_mean - (x - middle) * by * gh_mean) * by; };
            if (dx) map(C, dx + r * C, slope, dx + r * C, row);
        }
    });
    const auto add_up = [&](float* sums, const float* part) {
        __builtin_memset(sums, 0, C * 4);
        for (int64_t s = 0; s < strips; ++s)
            map(C, sums, [](Vec a, Vec b) { return a + b; }, sums, part + s * 2 * C);
    };
    if (dw) add_up(dw, parts);
    if (db) add_up(db, parts + C);
}

}  // namespace nyx::cpu::NYX_ISA
