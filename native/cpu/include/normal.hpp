// The normal distribution for gelu: as nyx/ops/_normal.py.
#pragma once

#include "simd.hpp"

namespace nyx::cpu::NYX_ISA {

// exp(-x^2 / 2).
static inline Vec bell(Vec x) { return exp(x * x * -0.5f); }

// P(N > z) for z >= 0, given bell(z); error below 2e-7. Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26,
// for z / sqrt(2), with the half of the tail in the coefficients.
static inline Vec tail(Vec z, Vec bell) {
    const Vec t = 1.0f / (z * (0.3275911f * 0.70710678118654752f) + 1.0f);
    Vec q = t * (0.5f * 1.061405429f) + 0.5f * -1.453152027f;
    q = q * t + 0.5f * 1.421413741f;
    q = q * t + 0.5f * -0.284496736f;
    q = q * t + 0.5f * 0.254829592f;
    return q * t * bell;
}

// 2 u of gelu's tanh form, where tanh(u) = 2 sigmoid(2 u) - 1: sqrt(8 / pi) (x + 0.044715 x^3).
constexpr float LINEAR = 1.5957691216057308f, CUBIC = 0.044715f * LINEAR;
static inline Vec doubled(Vec x) { return (x * x * CUBIC + LINEAR) * x; }

}  // namespace nyx::cpu::NYX_ISA
