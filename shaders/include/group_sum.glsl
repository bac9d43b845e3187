// The sum over a workgroup of GROUP invocations (a multiple of 16), the same for all of them, always added in one order.
// Every invocation must call it. Two levels: few barriers, and no word on the subgroup's size.
shared float group_sum_part[GROUP];

float group_sum(float x) {
    uint lane = gl_LocalInvocationIndex;
    barrier();
    group_sum_part[lane] = x;
    barrier();
    if (lane < 16u) {
        for (uint k = lane + 16u; k < GROUP; k += 16u) x += group_sum_part[k];
        group_sum_part[lane] = x;
    }
    barrier();
    float sum = 0.0;
    for (uint k = 0u; k < 16u; ++k) sum += group_sum_part[k];
    return sum;
}
