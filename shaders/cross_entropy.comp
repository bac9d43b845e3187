#version 450
#extension GL_GOOGLE_include_directive : require
// Loss, hit and gradient of rows of logits; the formulas are in nyx/ops/cross_entropy.py. `lanes` invocations (a power of
// two) share a row, each taking every lanes-th group of four classes.
// variant :
// variant lane: -DLANE
// variant stable: -DSTABLE
// variant stable_lane: -DSTABLE -DLANE
#include "index.glsl"
#ifdef LANE
#define GROUP 32  // one invocation per row, no barrier
#else
#define GROUP 128
#endif
layout(local_size_x = GROUP) in;
layout(std430, binding = 0) readonly buffer Logits { float logits[]; };
layout(std430, binding = 0) readonly buffer Logits4 { vec4 logits4[]; };
layout(std430, binding = 1) readonly buffer Targets { int targets[]; };
layout(std430, binding = 2) readonly buffer Norm { float norm[]; };
layout(std430, binding = 3) readonly buffer Ended { float ended[]; };
layout(std430, binding = 4) writeonly buffer Loss { float loss[]; };
layout(std430, binding = 5) writeonly buffer Correct { float correct[]; };
layout(std430, binding = 6) writeonly buffer Dlogits { float dlogits[]; };
layout(std430, binding = 6) writeonly buffer Dlogits4 { vec4 dlogits4[]; };
layout(push_constant) uniform Push {
    uint logits_at, targets_at, norm_at, ended_at, loss_at, correct_at, dlogits_at, rows, classes, lanes, need_grad, sample_rows;
    float on_target, everywhere;
};

const uvec4 FOUR = uvec4(0, 1, 2, 3);

// Classes j to j + 3 of the row that begins at `from`; `pad` stands beyond the last class.
vec4 load(uint from, uint j, float pad) {
    if (((from | classes) & 3u) == 0u) return logits4[(from + j) / 4u];
    vec4 x = vec4(pad);
    for (uint k = 0u; k < 4u; ++k)
        if (j + k < classes) x[k] = logits[from + j + k];
    return x;
}

void store(uint to, uint j, vec4 d) {
    if (((to | classes) & 3u) == 0u) {
        dlogits4[(to + j) / 4u] = d;
    } else {
        for (uint k = 0u; k < 4u; ++k)
            if (j + k < classes) dlogits[to + j + k] = d[k];
    }
}

#ifdef STABLE
vec4 mass(vec4 x, float best) {
    vec4 size = abs(x) + 1.0;
    return mix(1.0 / size, size, greaterThanEqual(x, vec4(0)));
}
#else
vec4 mass(vec4 x, float best) { return exp(x - best); }
#endif

#ifdef LANE
void share_best(inout float best, inout uint place) {}
void share_sums(inout vec2 sums) {}
#else
shared float bests[GROUP];
shared uint places[GROUP];
shared vec2 parts[GROUP];

// The largest value of the row's lanes; of equal ones the first.
void share_best(inout float best, inout uint place) {
    uint i = gl_LocalInvocationIndex, lane = i & (lanes - 1u);
    bests[i] = best, places[i] = place;
    for (uint width = lanes / 2u; width > 0u; width /= 2u) {
        barrier();
        if (lane < width) {
            uint other = i + width;
            if (bests[other] > bests[i] || (bests[other] == bests[i] && places[other] < places[i]))
                bests[i] = bests[other], places[i] = places[other];
        }
    }
    barrier();
    best = bests[i - lane], place = places[i - lane];
}

void share_sums(inout vec2 sums) {
    uint i = gl_LocalInvocationIndex, lane = i & (lanes - 1u);
    parts[i] = sums;
    for (uint width = lanes / 2u; width > 0u; width /= 2u) {
        barrier();
        if (lane < width) parts[i] += parts[i + width];
    }
    barrier();
    sums = parts[i - lane];
}
#endif

void main() {
    uint lane = flat_index() & (lanes - 1u), row = flat_index() / lanes, from = logits_at + min(row, rows - 1u) * classes;
    float best = -3.4028234e38;
    uint place = 0x7FFFFFFFu;
    for (uint j = 4u * lane; j < classes; j += 4u * lanes) {
        vec4 x = load(from, j, -3.4028234e38);
        for (uint k = 0u; k < 4u; ++k)
            if (x[k] > best) best = x[k], place = j + k;
    }
    share_best(best, place);

    vec2 sums = vec2(0);  // of the masses and of z = x - best; in two levels, for long rows
    for (uint j = 4u * lane; j < classes;) {
        vec4 masses = vec4(0), zs = vec4(0);
        for (uint end = min(j + 256u * lanes, classes); j < end; j += 4u * lanes) {
            vec4 x = load(from, j, best);
            masses += mass(x, best) * vec4(lessThan(j + FOUR, uvec4(classes)));
            zs += x - best;
        }
        sums += vec2(dot(masses, vec4(1)), dot(zs, vec4(1)));
    }
    share_sums(sums);
    if (row >= rows) return;

    int target = targets[targets_at + row];
    if (sample_rows > 0u && ended[ended_at + row / sample_rows] < 0.0) target = -1;
    float counts = target < 0 ? 0.0 : target < int(classes) ? 1.0 : uintBitsToFloat(0x7FC00000u);
    uint hit = uint(clamp(target, 0, int(classes) - 1));
    if (lane == 0u) {
#ifdef STABLE
        float nll = log(sums.x / mass(vec4(logits[from + hit]), best).x);
#else
        float nll = log(sums.x) - on_target * (logits[from + hit] - best) - everywhere * sums.y;
#endif
        loss[loss_at + row] = target < 0 ? 0.0 : nll * counts;
        correct[correct_at + row] = float(int(place) == target);
    }
    if (need_grad == 0u) return;
    float scale = norm[norm_at] * counts;
    for (uint j = 4u * lane; j < classes; j += 4u * lanes) {
        vec4 m = mass(load(from, j, best), best), at_hit = vec4(equal(j + FOUR, uvec4(hit)));
#ifdef STABLE
        vec4 d = min(m, 1.0) * min(m, 1.0) / sums.x - at_hit * min(m, 1.0 / m);
#else
        vec4 d = m / sums.x - (everywhere + on_target * at_hit);
#endif
        store(dlogits_at + row * classes, j, scale * d);
    }
}
