// FETCH(name, m, at0, lines, length, pitch, fours) makes `vec4 name(line, at)`: four elements of a matrix of `lines` x
// `length` whose line i begins at element at0 + i * pitch of m[] (of m4[] in fours), zeros where it has none. STORE
// makes `void name(line, at, values)`, which puts those that the matrix has. fours: whether at0, length and pitch are
// multiples of 4; `at` always is. Addresses are held inside instead of skipping the load: that costs software drivers
// less than a branch.
#define FETCH(name, m, at0, lines, length, pitch, fours)                                                     \
    float name##1(uint line, uint at) {                                                                      \
        float v = m[at0 + min(line, (lines) - 1) * (pitch) + min(at, (length) - 1)];                         \
        return line < (lines) && at < (length) ? v : 0.0;                                                    \
    }                                                                                                        \
    vec4 name(uint line, uint at) {                                                                          \
        if (fours) {                                                                                         \
            vec4 v = m##4[(at0 + min(line, (lines) - 1) * (pitch) + min(at, (length) - 4)) / 4];             \
            return line < (lines) && at < (length) ? v : vec4(0.0);                                          \
        }                                                                                                    \
        return vec4(name##1(line, at), name##1(line, at + 1), name##1(line, at + 2), name##1(line, at + 3)); \
    }

#define STORE(name, m, at0, lines, length, pitch, fours)          \
    void name(uint line, uint at, vec4 values) {                  \
        if (line >= (lines) || at >= (length)) return;            \
        uint i = at0 + line * (pitch) + at;                       \
        if (fours) {                                              \
            m##4[i / 4] = values;                                 \
        } else {                                                  \
            for (uint e = 0; e < 4; ++e)                          \
                if (at + e < (length)) m[i + e] = values[e];      \
        }                                                         \
    }
