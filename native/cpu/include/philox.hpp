// Philox4x32-10 (Salmon et al., SC 2011): the same bits as nyx/ops/_philox.py.
#pragma once

#include "simd.hpp"

namespace nyx::cpu::NYX_ISA {

constexpr int BLOCKS = 16;  // made at once, side by side in vectors

// Elements 4 block .. 4 (block + BLOCKS) - 1 of a stream as numbers in [0, 1), multiples of 2^-24.
static inline void philox(const uint32_t* counter, uint32_t stream, uint64_t block, float* out) {
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS], k0 = counter[0], k1 = counter[1];
    for (int i = 0; i < BLOCKS; ++i) {
        c0[i] = static_cast<uint32_t>(block + i);
        c1[i] = static_cast<uint32_t>((block + i) >> 32);
        c2[i] = counter[2];
        c3[i] = stream;
    }
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < BLOCKS; ++i) {
            const uint64_t p0 = static_cast<uint64_t>(c0[i]) * 0xD2511F53u, p1 = static_cast<uint64_t>(c2[i]) * 0xCD9E8D57u;
            c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = static_cast<uint32_t>(p1);
            c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = static_cast<uint32_t>(p0);
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < BLOCKS; ++i) {
        out[4 * i] = static_cast<int32_t>(c0[i] >> 8) * 0x1p-24f;
        out[4 * i + 1] = static_cast<int32_t>(c1[i] >> 8) * 0x1p-24f;
        out[4 * i + 2] = static_cast<int32_t>(c2[i] >> 8) * 0x1p-24f;
        out[4 * i + 3] = static_cast<int32_t>(c3[i] >> 8) * 0x1p-24f;
    }
}

// Calls f(i, n, uniform) for stretches of the elements start .. start + count - 1 of a stream; i counts from 0.
template <class F>
static inline void drawn(const uint32_t* counter, uint32_t stream, uint64_t start, int64_t count, const F& f) {
    float uniform[4 * BLOCKS];
    for (int64_t i = 0; i < count;) {
        const uint64_t element = start + i;
        const int64_t skip = element % 4, n = count - i < 4 * BLOCKS - skip ? count - i : 4 * BLOCKS - skip;
        philox(counter, stream, element / 4, uniform);
        f(i, n, uniform + skip);
        i += n;
    }
}

}  // namespace nyx::cpu::NYX_ISA
