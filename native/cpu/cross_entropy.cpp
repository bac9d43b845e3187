// Cross-entropy of rows of logits (softmax or stablemax), its gradient, and whether the first largest logit is the target's;
// the formulas of nyx/ops/cross_entropy.py.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

static float largest_of(const float* x, int64_t n) {
    Vec top = load(x, n < W ? n : W, x[0]);
    for (int64_t i = W; i < n; i += W) top = max(top, load(x + i, n - i < W ? n - i : W, x[0]));
    return largest(top);
}

static bool is_first(const float* x, int64_t t, float top) {
    if (x[t] != top) return false;
    for (int64_t i = 0; i < t; ++i)
        if (x[i] == top) return false;
    return true;
}

// What stablemax has in the place of exp.
static inline Vec mass(Vec x) {
    const Vec size = (x < Vec{} ? -x : x) + 1.0f;
    return x >= Vec{} ? size : 1.0f / size;
}

void cross_entropy(const Call& call) {
    const float *logits = floats(call, 0), norm = floats(call, 2)[0];
    const int32_t* targets = ints(call, 1);
    const float* ended = floats(call, 3);
    float *loss = made(call, 4), *correct = made(call, 5), *dlogits = made(call, 6);
    const int64_t V = call.arrays[0].cols, sample = ended ? call.arrays[0].rows / size(call.arrays[3]) : 1;
    const bool stable = is(call, "kind", "stablemax");
    const double smoothing = number(call, "label_smoothing");
    const float on_target = 1 - smoothing, everywhere = smoothing / V;
    parallel(call.arrays[0].rows, rows_each(V, GRAIN / 4), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* x = logits + r * V;
            const int64_t t = ended && ended[r / sample] < 0 ? -1 : targets[r];
            const bool inside = t >= 0 && t < V;
            const float count = t < 0 ? 0 : inside ? 1 : __builtin_nanf("");
            const float top = largest_of(x, V);
            Vec masses = {}, rest = {};
            vectors(V, [&](int64_t i, int64_t n) {
                const Vec v = load(x + i, n, -__builtin_inff()), e = stable ? mass(v) : exp(v - top);
                masses += e;
                if (smoothing != 0) rest += load(x + i, n, top) - top;
                if (dlogits) store(dlogits + r * V + i, e, n);
            });
            const int64_t hit = inside ? t : 0;
            const float S = sum(masses), there = stable ? mass(all(x[hit]))[0] : 1;
            const float nats = stable ? __builtin_logf(S / there)
                                      : __builtin_logf(S) - on_target * (x[hit] - top) - everywhere * sum(rest);
            loss[r] = t < 0 ? 0 : nats * count;
            correct[r] = inside && is_first(x, t, top);
            if (!dlogits) continue;
            const float by = count * norm / S, less = everywhere * count * norm;
            const auto slope = [](Vec m) { return m < 1.0f ? m * m : all(1); };
            map(V, dlogits + r * V, [&](Vec e) { return (stable ? slope(e) : e) * by - less; }, dlogits + r * V);
            const float share = stable ? (there < 1 ? there : 1 / there) : on_target;
            dlogits[r * V + hit] -= share * (count * norm);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
