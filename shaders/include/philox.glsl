// Philox4x32-10 (Salmon et al., SC 2011): the same bits as nyx/ops/_philox.py.
// Element i of a stream is lane i % 4 of block i / 4; `counter` is (seed_lo, seed_hi, step, first_sample).

uvec4 philox4x32(uvec4 c, uvec2 key) {
    for (uint k = 0u; k < 10u; ++k) {
        uint hi0, lo0, hi1, lo1;
        umulExtended(0xD2511F53u, c.x, hi0, lo0);
        umulExtended(0xCD9E8D57u, c.z, hi1, lo1);
        c = uvec4(hi1 ^ c.y ^ key.x, lo1, hi0 ^ c.w ^ key.y, lo0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The four elements 4 * block to 4 * block + 3, in [0, 1), multiples of 2^-24.
vec4 philox_uniform4(uvec4 counter, uint stream, uint block_hi, uint block_lo) {
    return vec4(philox4x32(uvec4(block_lo, block_hi, counter.z, stream), counter.xy) >> 8) * 5.9604644775390625e-8;
}

// One element of the stream, by the high and low word of its index.
float philox_uniform(uvec4 counter, uint stream, uint index_hi, uint index_lo) {
    return philox_uniform4(counter, stream, index_hi >> 2, (index_lo >> 2) | (index_hi << 30))[index_lo & 3u];
}

// first * each + i as (high, low): the index of element i where a sample has `each` elements and `first` came before.
uvec2 philox_index(uint first, uint each, uint i) {
    uint hi, lo, carry;
    umulExtended(first, each, hi, lo);
    lo = uaddCarry(lo, i, carry);
    return uvec2(hi + carry, lo);
}
