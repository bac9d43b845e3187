// Causal attention: o = softmax(q k^T / sqrt(D)) v in each head, lse the log of each row's sum of exponentials.
#include "include/attention.hpp"

namespace nyx::cpu::NYX_ISA {

constexpr float LOWEST = -__builtin_inff();

// Turns the first i + 1 + r scores of row r into exp(score * scale - top), zero up to `end`; gives the rows' sums, and lse.
// Row after row in each of three passes: one row alone would wait for the result of each.
static inline void exponentials(int64_t rows, int64_t i, int64_t end, float scale, float* weights, int64_t row, float* sums, float* lse) {
    float tops[MR];
    Vec parts[MR];
    for (int64_t r = 0; r < rows; ++r) {
        Vec most = all(LOWEST);
        for (int64_t j = 0; j <= i + r; j += W) most = max(most, first_of(load(weights + r * row + j), i + r + 1 - j, LOWEST));
        tops[r] = largest(most) * scale;
    }
    for (int64_t r = 0; r < rows; ++r) {
        parts[r] = Vec{};
        for (int64_t j = 0; j < end; j += W) {
            float* at = weights + r * row + j;
            const Vec e = exp(first_of(load(at), i + r + 1 - j, LOWEST) * scale - tops[r]);
            parts[r] += e;
            store(at, e);
        }
    }
    for (int64_t r = 0; r < rows; ++r) {
        sums[r] = sum(parts[r]);
        lse[r] = tops[r] + __builtin_logf(sums[r]);
    }
}

void attention(const Call& call) {
    const Shape s = shape_of(call);
    const Dropout dropout = dropout_of(call, 3);
    float *o = made(call, 4), *lse = made(call, 5);
    const int64_t C = s.H * s.D, blocks = (s.T + QUERIES - 1) / QUERIES;
    parallel(s.B * s.H * blocks, 1, [&](int64_t at, int64_t) {
        const int64_t item = at / blocks, i0 = at % blocks * QUERIES, i1 = smaller(s.T, i0 + QUERIES), row = padded(i1);
        const Matrix q = head_of(call.arrays[0], s, item);
        float* keys = scratch(OWN, row * s.D + rows_room(i1, s.D) + (MR + 1) * row);
        float *room = keys + row * s.D, *weights = room + rows_room(i1, s.D), *factors = weights + MR * row;
        pack_columns(i1, s.D, head_of(call.arrays[1], s, item), keys);
        const Rows values = rows_of(i1, s.D, head_of(call.arrays[2], s, item), room);
        for (int64_t i = i0; i < i1; i += MR) {
            const int64_t rows = smaller(MR, i1 - i), end = i + rows;
            float sums[MR], *out = o + (item / s.H * s.T + i) * C + item % s.H * s.D;
            times_columns(rows, s.D, end, i1, q.at(i, 0), keys, weights, row);
            exponentials(rows, i, end, s.scale, weights, row, sums, lse + item * s.T + i);
            for (int64_t r = 0; r < rows && dropout.rate != 0; ++r) {
                dropout.factors(s, item, i + r, i + r + 1, factors);
                map(i + r + 1, weights + r * row, [](Vec w, Vec f) { return w * f; }, weights + r * row, factors);
            }
            times_rows(rows, s.D, end, {weights, row, 1}, values, 0, {out, C, false, nullptr});
            for (int64_t r = 0; r < rows; ++r) {
                const float by = 1 / sums[r];
                map(s.D, out + r * C, [&](Vec v) { return v * by; }, out + r * C);
            }
        }
    });
}

}  // namespace nyx::cpu::NYX_ISA
