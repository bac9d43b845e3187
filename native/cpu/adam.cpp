// AdamW with a clipped gradient; the formula of nyx/ops/adam.py.
#include "include/adam.hpp"

namespace nyx::cpu::NYX_ISA {

void adam(const Call& call) {
    const float eps = number(call, "eps");
    adam_update(call, [eps](Rates r) {
        const float rate = r.lr / r.c1, root = 1 / __builtin_sqrtf(r.c2);
        return [=](Vec mean, Vec square) { return mean / (square_root(square) * root + eps) * rate; };
    });
}

}  // namespace nyx::cpu::NYX_ISA
