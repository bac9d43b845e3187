// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, for u = z / sqrt(2): see nyx/ops/_normal.py.

// exp(-x^2 / 2)
vec4 bell(vec4 x) { return exp(-0.5 * x * x); }

// P(N > z) for z >= 0, given bell(z); the error is below 2e-7.
vec4 tail(vec4 z, vec4 bell) {
    vec4 t = 1.0 / (1.0 + 0.23164189 * z);
    vec4 q = ((((0.5307027145 * t - 0.7265760135) * t + 0.7107068705) * t - 0.142248368) * t + 0.127414796) * t;
    return q * bell;
}

// exp(-2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3), of gelu's tanh form; kept below overflow.
vec4 odds_against(vec4 x) { return exp(min(-x * (1.5957691 + 0.071354816 * x * x), 80.0)); }
