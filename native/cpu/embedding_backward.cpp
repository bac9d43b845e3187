// dw[v] = scale * the sum of dy[r] over the rows with tokens[r] == v, in the order of the rows.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

void embedding_backward(const Call& call) {
    const int32_t* tokens = ints(call, 0);
    const float* dy = floats(call, 1);
    float* dw = made(call, 2);
    const int64_t rows = size(call.arrays[0]), V = call.arrays[2].rows, C = call.arrays[2].cols;
    const float factor = number(call, "scale");
    // Every range owns some columns, so that no two add to one element.
    parallel(C, 2 * W, [&](int64_t first, int64_t end) {
        const int64_t n = end - first;
        for (int64_t v = 0; v < V; ++v) __builtin_memset(dw + v * C + first, 0, n * 4);
        for (int64_t r = 0; r < rows; ++r) {
            if (tokens[r] < 0 || tokens[r] >= V) continue;
            float* sum = dw + tokens[r] * C + first;
            map(n, sum, [](Vec a, Vec d) { return a + d; }, sum, dy + r * C + first);
        }
        if (factor == 1) return;
        for (int64_t v = 0; v < V; ++v)
            map(n, dw + v * C + first, [&](Vec a) { return a * factor; }, dw + v * C + first);
    });
}

}  // namespace nyx::cpu::NYX_ISA
