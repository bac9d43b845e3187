// One tile of the product C[i, j] = sum over d of A[i, d] B[d, j], for GPUs. The includer has local_size_x = 256,
// EDGE = 4 or 8 and what product_lane.glsl says. product(tile_i, tile_j, d, end) sums over the depths from d up to end.
//
// 16x16 invocations make a square tile; each keeps EDGE x EDGE sums. DEPTH depths of A and B at a time go through
// shared memory, while the next ones are on their way to registers. The four words after each row spread the banks.
#define TILE_I (16 * EDGE)
#define TILE_J TILE_I
#define DEPTH (64 / EDGE)
#define PITCH (TILE_I / 4 + 1)
shared vec4 tile_a[DEPTH * PITCH], tile_b[DEPTH * PITCH];

// The line and the place in it that invocation t brings, where lines run along d and where they run across.
uvec2 along(uint t) { return uvec2(t / (DEPTH / 4), t % (DEPTH / 4) * 4); }
uvec2 across(uint t) { return uvec2(t / (TILE_I / 4), t % (TILE_I / 4) * 4); }

vec4 next_a(uint i0, uint d, uint t) {
#ifdef A_DEEP
    return fetch_a(i0 + along(t).x, d + along(t).y);
#else
    return fetch_a(d + across(t).x, i0 + across(t).y);
#endif
}

vec4 next_b(uint j0, uint d, uint t) {
#ifdef B_DEEP
    return fetch_b(j0 + along(t).x, d + along(t).y);
#else
    return fetch_b(d + across(t).x, j0 + across(t).y);
#endif
}

void put(uint t, vec4 a, vec4 b) {
    uvec2 deep = along(t), flat_ = across(t);
#ifdef A_DEEP
    for (uint e = 0; e < 4; ++e) tile_a[(deep.y + e) * PITCH + deep.x / 4][deep.x % 4] = a[e];
#else
    tile_a[flat_.x * PITCH + flat_.y / 4] = a;
#endif
#ifdef B_DEEP
    for (uint e = 0; e < 4; ++e) tile_b[(deep.y + e) * PITCH + deep.x / 4][deep.x % 4] = b[e];
#else
    tile_b[flat_.x * PITCH + flat_.y / 4] = b;
#endif
}

void product(uint tile_i, uint tile_j, uint d, uint end) {
    uint i0 = tile_i * TILE_I, j0 = tile_j * TILE_J, t = gl_LocalInvocationID.x, tx = t % 16, ty = t / 16;
    vec4 sum[EDGE][EDGE / 4];
    for (uint c = 0; c < EDGE; ++c) sum[0][c / 4][c % 4] = initial(j0 + c / 4 * 64 + tx * 4 + c % 4);
    for (uint r = 1; r < EDGE; ++r) sum[r] = sum[0];
    vec4 a = next_a(i0, d, t), b = next_b(j0, d, t);
    for (; d < end; d += DEPTH) {
        put(t, a, b);
        barrier();
        a = next_a(i0, d + DEPTH, t);
        b = next_b(j0, d + DEPTH, t);
        for (uint q = 0; q < DEPTH; ++q) {
            vec4 left[EDGE / 4], right[EDGE / 4];
            for (uint h = 0; h < EDGE / 4; ++h) left[h] = tile_a[q * PITCH + h * 16 + ty];
            for (uint h = 0; h < EDGE / 4; ++h) right[h] = tile_b[q * PITCH + h * 16 + tx];
            for (uint r = 0; r < EDGE; ++r)
                for (uint h = 0; h < EDGE / 4; ++h) sum[r][h] = fma(vec4(left[r / 4][r % 4]), right[h], sum[r][h]);
        }
        barrier();
    }
    for (uint r = 0; r < EDGE; ++r)
        for (uint h = 0; h < EDGE / 4; ++h) store(i0 + r / 4 * 64 + ty * 4 + r % 4, j0 + h * 64 + tx * 4, sum[r][h]);
}
