// The halting head after a segment: who ends, its loss and gradient; the formulas of nyx/ops/halt.py.
#include "include/philox.hpp"

namespace nyx::cpu::NYX_ISA {

static inline float logistic(float x) { return 1 / (1 + __builtin_expf(-x)); }

static inline float two_way(float z, float wanted) {
    return (z > 0 ? z : 0) - z * wanted + __builtin_log1pf(__builtin_expf(-__builtin_fabsf(z)));
}

// The least number of segments of a row.
static float least(const Call& call, const uint32_t* counter, int64_t row) {
    const float most = number(call, "max_steps");
    float u[2] = {};
    drawn(counter, number(call, "stream"), 2 * (counter[3] + static_cast<uint64_t>(row)), 2,
          [&](int64_t i, int64_t n, const float* uniform) {
              for (int64_t k = 0; k < n; ++k) u[i + k] = uniform[k];
          });
    if (most == 1 || u[0] >= static_cast<float>(number(call, "exploration"))) return 1;
    const float longer = __builtin_floorf(u[1] * (most - 1));
    return 2 + (longer < most - 2 ? longer : most - 2);
}

void halt(const Call& call) {
    const float *q = floats(call, 0), *q_next = floats(call, 1), *loss = floats(call, 2), *correct = floats(call, 3);
    const int32_t* targets = ints(call, 4);
    const uint32_t* counter = static_cast<const uint32_t*>(call.arrays[6].data);
    const float* progress = floats(call, 7);
    float *dq = made(call, 8), *now = made(call, 9), *totals = made(call, 10);
    const int64_t B = call.arrays[0].dims[0], T = call.arrays[0].dims[1];
    const float most = number(call, "max_steps"), accuracy = number(call, "accuracy"), by = floats(call, 5)[0] / 2;
    parallel(B, rows_each(T), [&](int64_t b, int64_t end) {
        for (; b < end; ++b) {
            const auto sum_of = [&](const float* x) {
                return total(T, [&](int64_t i, int64_t n) { return load(x + b * T + i, n); });
            };
            const float nats = sum_of(loss), right = sum_of(correct);
            int64_t counted = 0;
            for (int64_t i = 0; i < T; ++i) counted += targets[b * T + i] >= 0;
            const float *at = q + 2 * (b * T + T - 1), *next = q_next + 2 * (b * T + T - 1);
            const float before = progress ? progress[b] : 0, segment = before + 1;
            const bool running = before >= 0 && counted, last = segment >= most;
            const bool ends = last || (at[0] > at[1] && segment >= least(call, counter, b)) || !counted;
            const float goal = right + 1e-3f >= accuracy * counted;
            const float value = logistic(last || next[0] > next[1] ? next[0] : next[1]);
            float* to = dq + 2 * b * T;
            __builtin_memset(to, 0, 2 * T * sizeof(float));
            to[2 * T - 2] = running ? (logistic(at[0]) - goal) * by : 0;
            to[2 * T - 1] = running ? (logistic(at[1]) - value) * by : 0;
            now[b] = before < 0 ? before : ends ? -segment : segment;
            totals[b] = ends && running ? nats : 0;
            totals[B + b] = ends && running ? right : 0;
            totals[2 * B + b] = running ? (two_way(at[0], goal) + two_way(at[1], value)) / 2 : 0;
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
