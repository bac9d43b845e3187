// Cross-entropy of rows of logits with label smoothing, its gradient, and whether the first largest logit is the target's;
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

void cross_entropy(const Call& call) {
    const float *logits = floats(call, 0), norm = floats(call, 2)[0];
    const int32_t* targets = ints(call, 1);
    float *loss = made(call, 3), *correct = made(call, 4), *dlogits = made(call, 5);
    const int64_t V = call.arrays[0].cols;
    const double smoothing = number(call, "label_smoothing");
    const float on_target = 1 - smoothing, everywhere = smoothing / V;
    parallel(call.arrays[0].rows, rows_each(V, GRAIN / 4), [&](int64_t r, int64_t end) {
        for (; r < end; ++r) {
            const float* x = logits + r * V;
            const int64_t t = targets[r];
            const bool inside = t >= 0 && t < V;
            const float count = t < 0 ? 0 : inside ? 1 : __builtin_nanf("");
            const float top = largest_of(x, V);
            Vec exps = {}, rest = {};
            vectors(V, [&](int64_t i, int64_t n) {
                const Vec z = load(x + i, n, -__builtin_inff()) - top, e = exp(z);
                exps += e;
                if (smoothing != 0) rest += load(x + i, n, top) - top;
                if (dlogits) store(dlogits + r * V + i, e, n);
            });
            const float all_exps = sum(exps);
            const float nats = __builtin_logf(all_exps) - on_target * (x[inside ? t : 0] - top) - everywhere * sum(rest);
            loss[r] = t < 0 ? 0 : nats * count;
            correct[r] = inside && is_first(x, t, top);
            if (!dlogits) continue;
            const float by = count * norm / all_exps, less = everywhere * count * norm;
            map(V, dlogits + r * V, [&](Vec e) { return e * by - less; }, dlogits + r * V);
            dlogits[r * V + (inside ? t : 0)] -= on_target * (count * norm);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
