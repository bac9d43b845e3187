// The gradients of causal attention, with P the weights, P' after dropout and F = P' / P: dv = P'^T dy,
// dS = P ((dy v^T) F - delta) scale with delta = rowsum(dy o), dq = dS k, dk = dS^T q.
#include "include/attention.hpp"

namespace nyx::cpu::NYX_ISA {

namespace {

struct Item {
    Shape s;
    int64_t number, row;  // row: of the buffers of weights
    Matrix q, dy, o;
    Rows queries, keys, cotangents;
    const float *key_columns, *value_columns, *lse;
    float *weights, *slopes, *factors;
    float *dq, *dk, *dv;
    int64_t dq_row, dk_row, dv_row;
};

}  // namespace

static inline float dot(const float* a, const float* b, int64_t n) {
    return total(n, [&](int64_t i, int64_t some) { return load(a + i, some) * load(b + i, some); });
}

// P' and dS of a query from the products q k^T (in weights) and dy v^T (in slopes); zero above the diagonal up to `end`.
static inline void row_of(const Item& it, const Dropout& dropout, int64_t i, int64_t end, float* weights, float* slopes) {
    const float lse = it.lse[i], delta = dot(it.dy.data + i * it.dy.row, it.o.data + i * it.o.row, it.s.D);
    const int64_t n = i + 1;
    if (dropout.rate != 0) dropout.factors(it.s, it.number, i, n, it.factors);
    for (int64_t j = 0; j < end; j += W) {
        const Vec p = exp(first_of(load(weights + j), n - j, -__builtin_inff()) * it.s.scale - lse);
        Vec d = first_of(load(slopes + j), n - j, 0), kept = p;
        if (dropout.rate != 0) {
            const Vec f = first_of(load(it.factors + j), n - j, 0);
            d *= f;
            kept *= f;
        }
        store(weights + j, kept);
        store(slopes + j, p * (d - delta) * it.s.scale);
    }
}

static void block_of_queries(const Item& it, const Dropout& dropout, int64_t i0, int64_t i1) {
    const int64_t D = it.s.D;
    for (int64_t i = i0; i < i1; i += MR) {
        const int64_t rows = smaller(MR, i1 - i), end = i + rows;
        float *weights = it.weights + (i - i0) * it.row, *slopes = it.slopes + (i - i0) * it.row;
        times_columns(rows, D, end, it.s.T, it.q.at(i, 0), it.key_columns, weights, it.row);
        times_columns(rows, D, end, it.s.T, it.dy.at(i, 0), it.value_columns, slopes, it.row);
        for (int64_t r = 0; r < rows; ++r) row_of(it, dropout, i + r, end, weights + r * it.row, slopes + r * it.row);
        times_rows(rows, D, end, {slopes, it.row, 1}, it.keys, 0, {it.dq + i * it.dq_row, it.dq_row, false, nullptr});
    }
    for (int64_t j = 0; j < i1; j += MR) {  // keys, and the queries from `first` on that see them
        const int64_t rows = smaller(MR, i1 - j), first = larger(i0, j), at = (first - i0) * it.row + j;
        const bool again = j < i0;
        times_rows(rows, D, i1 - first, {it.weights + at, 1, it.row}, it.cotangents, first, {it.dv + j * it.dv_row, it.dv_row, again, nullptr});
        times_rows(rows, D, i1 - first, {it.slopes + at, 1, it.row}, it.queries, first, {it.dk + j * it.dk_row, it.dk_row, again, nullptr});
    }
}

void attention_backward(const Call& call) {
    const Shape s = shape_of(call);
    const Dropout dropout = dropout_of(call, 6);
    parallel(s.B * s.H, 1, [&](int64_t item, int64_t) {
        const auto head = [&](int i) { return head_of(call.arrays[i], s, item); };
        const auto made_head = [&](int i) { return const_cast<float*>(head(i).data); };
        const int64_t row = padded(s.T), room = rows_room(s.T, s.D), block = smaller(QUERIES, s.T);
        float* columns = scratch(OWN, 2 * row * s.D + 3 * room + (2 * block + 1) * row);
        float *rooms = columns + 2 * row * s.D, *weights = rooms + 3 * room;
        pack_columns(s.T, s.D, head(1), columns);
        pack_columns(s.T, s.D, head(2), columns + row * s.D);
        const Item it = {
            s, item, row, head(0), head(5), head(3),
            rows_of(s.T, s.D, head(0), rooms), rows_of(s.T, s.D, head(1), rooms + room), rows_of(s.T, s.D, head(5), rooms + 2 * room),
            columns, columns + row * s.D, floats(call, 4) + item * s.T,
            weights, weights + block * row, weights + 2 * block * row,
            made_head(7), made_head(8), made_head(9), call.arrays[7].row, call.arrays[8].row, call.arrays[9].row,
        };
        for (int64_t i0 = 0; i0 < s.T; i0 += QUERIES) block_of_queries(it, dropout, i0, smaller(s.T, i0 + QUERIES));
    });
}

}  // namespace nyx::cpu::NYX_ISA
