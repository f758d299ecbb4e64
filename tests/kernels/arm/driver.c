/* Calls the kernels with what standard input holds, and writes what they give. A call is eight
 * integers (which kernel, kind of rows, inputs, outputs, vectors, k, level, bytes of a row), then
 * arrays. */

#include <stdio.h>
#include <stdlib.h>

#include "native.h"

int sp_best_level(void);
void sp_start(void);
int sp_gather(const void *weights, int kind, int64_t row_bytes, const float *scales, int64_t n_in,
              int64_t n_out, const float *values, const void *indices, int is_wide,
              int64_t n_vectors, int64_t k, const float *bias, float *y, int level);

static void *taken(int64_t bytes) {
    void *found = malloc((size_t)bytes + 1);
    if (fread(found, 1, (size_t)bytes, stdin) != (size_t)bytes) exit(2);
    return found;
}

int main(void) {
    int64_t h[8];
    sp_start();
    if (sp_best_level() != SP_NEON) return 3;
    while (fread(h, sizeof h, 1, stdin) == 1) {
        int64_t n_in = h[2], n_out = h[3], n = h[4], k = h[5];
        int level = (int)h[6], status;
        if (h[0] == 0) {
            float *x = taken(n * n_in * 4), *values = malloc((size_t)(n * k * 4));
            int32_t *indices = malloc((size_t)(n * k * 4));
            status = sp_topk_f32(x, n, n_in, n_in, k, values, indices, level);
            fwrite(values, 4, (size_t)(n * k), stdout);
            fwrite(indices, 4, (size_t)(n * k), stdout);
        } else {
            void *rows = taken(n_in * h[7]);
            float *scales = h[1] == SP_I8 ? taken(n_in * 4) : NULL;
            float *values = taken(n * k * 4);
            int32_t *indices = taken(n * k * 4);
            float *bias = taken(n_out * 4), *y = malloc((size_t)(n * n_out * 4));
            status = sp_gather(rows, (int)h[1], h[7], scales, n_in, n_out, values, indices, 0, n,
                               k, bias, y, level);
            fwrite(y, 4, (size_t)(n * n_out), stdout);
        }
        if (status) return 4;
    }
    return 0;
}
