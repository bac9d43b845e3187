// One tile of the product C[i, j] = sum over d of A[i, d] B[d, j], for software drivers. The includer has
// local_size_x = 8 and
//   vec4 fetch_a(uint line, uint at), vec4 fetch_b(uint line, uint at): four elements of a line of the matrix as it is
//     stored, zeros where it has none; A_DEEP, B_DEEP: defined where that matrix's lines run along d;
//   float initial(uint j): what the sums of column j start from;
//   void store(uint i, uint j, vec4 values): puts four elements of row i from column j on, where C has them.
// product(tile_i, tile_j, d, end) sums over the depths from d up to end.
//
// A software driver reads memory lane by lane, so a load costs as much as a hundred products. Every lane keeps 16 x
// COLUMNS sums (4 or 8 columns); its columns are its own, the rows are those of the whole subgroup: four lanes read a
// 4x4 block of A and pass it around.
#ifndef COLUMNS
#define COLUMNS 8
#endif
#define TILE_I 16
#define TILE_J (8 * COLUMNS)
void product(uint tile_i, uint tile_j, uint d, uint end) {
    uint i0 = tile_i * TILE_I, j0 = tile_j * TILE_J + gl_LocalInvocationID.x * COLUMNS, lane = gl_SubgroupInvocationID;
    vec4 sum[TILE_I][COLUMNS / 4];
    for (uint c = 0; c < COLUMNS; ++c) sum[0][c / 4][c % 4] = initial(j0 + c);
    for (uint r = 1; r < TILE_I; ++r) sum[r] = sum[0];
    for (; d < end; d += 4) {
        vec4 part[4], b[COLUMNS / 4][4];
        if (lane < 4)
            for (uint g = 0; g < 4; ++g) {
#ifdef A_DEEP
                part[g] = fetch_a(i0 + 4 * g + lane, d);
#else
                part[g] = fetch_a(d + lane, i0 + 4 * g);
#endif
            }
        for (uint h = 0; h < COLUMNS / 4; ++h)
            for (uint q = 0; q < 4; ++q) {
#ifdef B_DEEP
                b[h][q] = fetch_b(j0 + 4 * h + q, d);
#else
                b[h][q] = fetch_b(d + q, j0 + 4 * h);
#endif
            }
        for (uint g = 0; g < 4; ++g) {
            mat4 a = mat4(subgroupBroadcast(part[g], 0), subgroupBroadcast(part[g], 1), subgroupBroadcast(part[g], 2),
                          subgroupBroadcast(part[g], 3));
            for (uint r = 0; r < 4; ++r)
                for (uint c = 0; c < COLUMNS; ++c) {
                    float s = sum[4 * g + r][c / 4][c % 4];
                    for (uint q = 0; q < 4; ++q) {
#ifdef A_DEEP
                        float left = a[r][q];
#else
                        float left = a[q][r];
#endif
#ifdef B_DEEP
                        s = fma(left, b[c / 4][c % 4][q], s);
#else
                        s = fma(left, b[c / 4][q][c % 4], s);
#endif
                    }
                    sum[4 * g + r][c / 4][c % 4] = s;
                }
        }
    }
    for (uint r = 0; r < TILE_I; ++r)
        for (uint h = 0; h < COLUMNS / 4; ++h) store(i0 + r, j0 + 4 * h, sum[r][h]);
}
