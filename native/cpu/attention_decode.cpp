// Attention of one new position over a cache, after its key and value have gone in at `start`;
// all NaN where the cache has no such place.
#include "include/attention.hpp"

namespace nyx::cpu::NYX_ISA {

void attention_decode(const Call& call) {
    const Shape s = shape_of(call);
    const Array& cache = call.arrays[4];
    const int64_t at = ints(call, 3)[0], S = cache.dims[1], C = cache.cols;
    if (at < 0 || at >= S) {
        for (int64_t i = 0; i < size(call.arrays[6]); ++i) made(call, 6)[i] = __builtin_nanf("");
        return;
    }
    parallel(s.B * s.H, larger(1, GRAIN / (2 * (at + 1) * s.D)), [&](int64_t item, int64_t end) {
        for (; item < end; ++item) {
            const auto head = [&](int i) { return static_cast<float*>(call.arrays[i].data) + item / s.H * call.arrays[i].row + item % s.H * s.D; };
            const int64_t where = item / s.H * S * C + item % s.H * s.D;
            float *keys = made(call, 4) + where, *values = made(call, 5) + where, *out = head(6);
            const float* q = head(0);
            __builtin_memcpy(keys + at * C, head(1), s.D * 4);
            __builtin_memcpy(values + at * C, head(2), s.D * 4);
            float *weights = scratch(OWN, at + 1), top = -__builtin_inff(), all_of_it = 0;
            for (int64_t t = 0; t <= at; ++t) {
                const float* key = keys + t * C;
                weights[t] = s.scale * total(s.D, [&](int64_t i, int64_t n) { return load(q + i, n) * load(key + i, n); });
                top = top < weights[t] ? weights[t] : top;
            }
            map(at + 1, weights, [&](Vec v) { return exp(v - top); }, weights);
            for (int64_t t = 0; t <= at; ++t) all_of_it += weights[t];
            vectors(s.D, [&](int64_t i, int64_t n) {
                Vec o = {};
                for (int64_t t = 0; t <= at; ++t) o += load(values + t * C + i, n) * weights[t];
                store(out + i, o / all_of_it, n);
            });
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
