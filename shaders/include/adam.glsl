// What the Adam operations share, four elements an invocation. Before this stand the buffers, the push block, and
// `vec4 direction(vec4 mean, vec4 square, float lr, float c1, float c2)`: what is subtracted from p. The rows of hyper and
// control are in nyx/ops/_adam.py.

void update(vec4 gradient, inout vec4 param, inout vec4 mean, inout vec4 square) {
    uint h = hyper_at + 4u * row;
    float lr = hyper[hyper_at], decay = hyper[h], c1 = hyper[h + 1u], c2 = hyper[h + 2u];
    gradient *= control[control_at];
    mean += rest1 * (gradient - mean);
    square = beta2 * square + rest2 * (gradient * gradient);
    param = param * (1.0 - lr * decay) - direction(mean, square, lr, c1, c2);
}

void main() {
    uint at = 4u * flat_index();
    if (at >= n || control[control_at + 2u] != 0.0) return;
    vec4 param = vec4(0), mean = vec4(0), square = vec4(0), gradient = vec4(0);
    if (at + 4u <= n && ((g_at | p_at | m_at | v_at) & 3u) == 0u) {
        uint i = (p_at + at) / 4u, j = (m_at + at) / 4u, k = (v_at + at) / 4u;
        param = p4[i], mean = m4[j], square = v4[k];
        update(g4[(g_at + at) / 4u], param, mean, square);
        p4[i] = param, m4[j] = mean, v4[k] = square;
        return;
    }
    for (uint k = 0u; k < 4u; ++k) {
        if (at + k >= n) continue;
        gradient[k] = g[g_at + at + k];
        param[k] = p[p_at + at + k], mean[k] = m[m_at + at + k], square[k] = v[v_at + at + k];
    }
    update(gradient, param, mean, square);
    for (uint k = 0u; k < 4u; ++k)
        if (at + k < n) p[p_at + at + k] = param[k], m[m_at + at + k] = mean[k], v[v_at + at + k] = square[k];
}
