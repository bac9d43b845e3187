// The halting head after a segment: who ends, its losses and gradient; the formulas of nyx/ops/halt.py.
#include "include/simd.hpp"

namespace nyx::cpu::NYX_ISA {

static inline float logistic(float x) { return 1 / (1 + __builtin_expf(-x)); }

static inline float two_way(float z, float wanted) {
    return (z > 0 ? z : 0) - z * wanted + __builtin_log1pf(__builtin_expf(-__builtin_fabsf(z)));
}

void halt(const Call& call) {
    const float *q = floats(call, 0), *loss = floats(call, 1), *correct = floats(call, 2);
    const int32_t* targets = ints(call, 3);
    const float *progress = floats(call, 5), *least = floats(call, 6), *q_next = floats(call, 7);
    float *dq = made(call, 8), *report = made(call, 9);
    const int64_t B = call.arrays[0].dims[0], T = call.arrays[0].dims[1];
    const float most = number(call, "max_steps"), accuracy = number(call, "accuracy"), by = floats(call, 4)[0] / 2;
    parallel(B, rows_each(T), [&](int64_t b, int64_t end) {
        for (; b < end; ++b) {
            const auto sum_of = [&](const float* x) {
                return total(T, [&](int64_t i, int64_t n) { return load(x + b * T + i, n); });
            };
            const float nats = sum_of(loss), right = sum_of(correct);
            int64_t counted = 0;
            for (int64_t i = 0; i < T; ++i) counted += targets[b * T + i] >= 0;
            const int64_t at = 2 * (b * T + T - 1);
            const float halt = q[at], go_on = q[at + 1], segment = progress[b] + 1;
            const bool last = segment >= most, ends = last || (halt > go_on && segment >= least[b]);
            const float goal = right + 1e-3f >= accuracy * counted;
            float *to = dq + 2 * b * T, *said = report + 5 * b;
            __builtin_memset(to, 0, 2 * T * sizeof(float));
            said[0] = !counted ? 0 : ends ? -segment : segment;
            said[1] = nats, said[2] = right, said[3] = said[4] = 0;
            if (!counted) continue;
            to[2 * T - 2] = (logistic(halt) - goal) * by;
            said[3] = two_way(halt, goal);
            if (!q_next) continue;
            const float next_halt = q_next[at], next_go_on = q_next[at + 1];
            const float value = logistic(last || next_halt > next_go_on ? next_halt : next_go_on);
            to[2 * T - 1] = (logistic(go_on) - value) * by;
            said[4] = two_way(go_on, value);
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
