// Vectors as wide as this build's instruction set has them, and the functions of them that kernels need.
// Everything lives in the namespace of the instruction set, and uses nothing of the standard library: see core/kernels.hpp.
#pragma once

#include <cstdint>

#include "core/kernels.hpp"

namespace nyx::cpu::NYX_ISA {

#if defined(__AVX512F__)
constexpr int W = 16;  // floats in a vector
#elif defined(__AVX__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * W)));
typedef int32_t Ints __attribute__((vector_size(4 * W)));
typedef float Unaligned __attribute__((vector_size(4 * W), aligned(4), may_alias));

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static inline Vec load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
static inline void store(float* p, Vec v) { *reinterpret_cast<Unaligned*>(p) = v; }
static inline Vec all(float x) { return x - Vec{}; }  // x - 0 is x, also for -0

// The first n floats, the others `rest`; n <= W.
static inline Vec load(const float* p, int64_t n, float rest = 0) {
    if (n == W) return load(p);
    Vec v = all(rest);
    for (int64_t i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
static inline void store(float* p, Vec v, int64_t n) {
    if (n == W) return store(p, v);
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// The first n elements of v, the others `rest`.
static inline Vec first_of(Vec v, int64_t n, float rest) {
    Ints index;
    for (int i = 0; i < W; ++i) index[i] = i;
    return index < static_cast<int32_t>(smaller(n, W)) ? v : all(rest);
}

static inline Vec as_floats(Ints v) { return reinterpret_cast<Vec>(v); }
// b where either is NaN.
static inline Vec min(Vec a, Vec b) { return a < b ? a : b; }
static inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
static inline Vec abs(Vec v) { return reinterpret_cast<Vec>(reinterpret_cast<Ints>(v) & 0x7fffffff); }

// Element i of the result is element i ^ STEP of v.
template <int STEP>
static inline Vec swapped(Vec v) {
#if defined(__clang__)
    Vec other;
    for (int i = 0; i < W; ++i) other[i] = v[i ^ STEP];
    return other;
#else
    Ints index;
    for (int i = 0; i < W; ++i) index[i] = i ^ STEP;
    return __builtin_shuffle(v, index);
#endif
}

// Joins all elements of a vector, halves first, so always in one order; the result is in every element.
template <class Join, int STEP = W / 2>
static inline Vec fold(Vec v, const Join& join) {
    v = join(v, swapped<STEP>(v));
    if constexpr (STEP > 1) return fold<Join, STEP / 2>(v, join);
    return v;
}
static inline float sum(Vec v) {
    return fold(v, [](Vec a, Vec b) { return a + b; })[0];
}
static inline float largest(Vec v) {
    return fold(v, [](Vec a, Vec b) { return max(a, b); })[0];
}

// exp(x): 2^n exp(r) with x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial in r; reduction and coefficients are those of
// expf in the Cephes library (S. L. Moshier). Error at most 1.1 units in the last place, measured over every third float
// whose exponential is normal; infinity above 88.72, 0 below -103.98, NaN for NaN.
static inline Vec exp(Vec x) {
    x = min(all(89.0f), max(all(-104.0f), x));
    const Vec shift = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, which is in the low bits then
    const Vec shifted = x * 1.44269504088896341f + shift;
    const Vec n = shifted - shift;
    const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // 2^n in two steps, since n goes from -150 to 128.
    const Ints i = reinterpret_cast<Ints>(shifted) - 0x4b400000;
    const Ints half = i >> 1;
    return p * as_floats((half + 127) << 23) * as_floats((i - half + 127) << 23);
}

static inline Vec square_root(Vec x) {
    for (int i = 0; i < W; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
}

static inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

// Calls f(first, last) for all of 0 .. n-1 in ranges of `each`, on all threads.
template <class F>
static void parallel(int64_t n, int64_t each, const F& f) {
    struct Context {
        int64_t n, each;
        const F* f;
    } context = {n, each, &f};
    const auto item = [](void* data, int64_t i) {
        const Context& c = *static_cast<Context*>(data);
        const int64_t first = i * c.each, last = first + c.each;
        (*c.f)(first, smaller(last, c.n));
    };
    run_items((n + each - 1) / each, item, &context);
}

constexpr int64_t GRAIN = 16384;  // elements of light work in one range

// How many rows of that many elements make a range.
static inline int64_t rows_each(int64_t cols, int64_t grain = GRAIN) { return cols >= grain ? 1 : grain / cols; }

// Calls f(i, W) for every whole vector of n elements, and f(i, fewer) for the rest.
template <class F>
static inline void vectors(int64_t n, const F& f) {
    int64_t i = 0;
    for (; i + W <= n; i += W) f(i, W);
    if (i < n) f(i, n - i);
}

// out[i] = f(in[i]...) for n elements.
template <class F, class... In>
static inline void map(int64_t n, float* out, const F& f, const In*... in) {
    vectors(n, [&](int64_t i, int64_t some) { store(out + i, f(load(in + i, some)...), some); });
}

// The sum of f(i, n) over the vectors of a row; f must give 0 where there is no element.
template <class F>
static inline float total(int64_t n, const F& f) {
    Vec sums[2] = {};
    int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        sums[0] += f(i, W);
        sums[1] += f(i + W, W);
    }
    if (i + W <= n) sums[0] += f(i, W), i += W;
    if (i < n) sums[1] += f(i, n - i);
    return sum(sums[0] + sums[1]);
}

static inline const float* floats(const Call& call, int i) { return static_cast<const float*>(call.arrays[i].data); }
static inline float* made(const Call& call, int i) { return static_cast<float*>(call.arrays[i].data); }
static inline const int32_t* ints(const Call& call, int i) { return static_cast<const int32_t*>(call.arrays[i].data); }
static inline int64_t size(const Array& a) { return a.rows * a.cols; }

// Calls f(n, offset in shape, offsets in others...) for stretches without gaps of arrays of one shape, on all threads.
template <class F, class... A>
static void stretches(const F& f, const Array& shape, const A&... others) {
    if (shape.contiguous && (others.contiguous && ...)) {
        parallel(size(shape), GRAIN, [&](int64_t at, int64_t end) { f(end - at, at, (static_cast<void>(others), at)...); });
    } else {
        parallel(shape.rows, rows_each(shape.cols), [&](int64_t r, int64_t end) {
            for (; r < end; ++r) f(shape.cols, shape.row * r, (others.row * r)...);
        });
    }
}

}  // namespace nyx::cpu::NYX_ISA
