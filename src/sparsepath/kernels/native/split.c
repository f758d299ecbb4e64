/* Products whose outputs are split over threads. Every output is the sum that one thread has, to
 * the bit: parts begin at multiples of 32 outputs, where every kernel begins anew.
 */

#include "native.h"

#define UNIT 32
#define LEAST_BYTES 32768 /* of weights that are worth a part */

typedef struct {
    const sp_matrix *matrix;
    const float *values;
    const int32_t *indices;
    int64_t k, n;
    float *y;
    int level;
} product_t;

/* Parts of a product that reads so many bytes; two for each thread, so that the faster one takes
 * more. */
static int64_t parts_of(const sp_pool *pool, int64_t n_out, int64_t bytes) {
    int64_t threads = sp_pool_threads(pool);
    if (threads < 2) return 1;
    int64_t n = bytes / LEAST_BYTES, most = 2 * threads;
    if (n > most) n = most;
    if (n > n_out / UNIT) n = n_out / UNIT;
    return n > 1 ? n : 1;
}

/* The columns of a part, as a matrix; gives where they begin. */
static int64_t columns(const sp_matrix *matrix, int64_t part, int64_t n, sp_matrix *piece) {
    int64_t units = (matrix->n_out + UNIT - 1) / UNIT;
    int64_t from = units * part / n * UNIT, to = units * (part + 1) / n * UNIT;
    if (to > matrix->n_out) to = matrix->n_out;
    *piece = *matrix;
    piece->rows = (const char *)matrix->rows + sp_bytes_to(matrix->kind, from);
    piece->bias = matrix->bias ? matrix->bias + from : 0;
    piece->n_out = to - from;
    return from;
}

static void multiply_part(void *task, int64_t part, int64_t n) {
    const product_t *p = task;
    sp_matrix piece;
    int64_t from = columns(p->matrix, part, n, &piece);
    sp_multiply(&piece, p->values, p->indices, p->k, p->y + from, p->level);
}

void sp_multiply_shared(sp_pool *pool, const sp_matrix *matrix, const float *values,
                        const int32_t *indices, int64_t k, float *y, int level) {
    product_t p = {.matrix = matrix, .values = values, .indices = indices, .k = k, .y = y,
                   .level = level};
    sp_share(pool, parts_of(pool, matrix->n_out, k * matrix->row_bytes), multiply_part, &p);
}

static void dense_part(void *task, int64_t part, int64_t n) {
    const product_t *p = task;
    sp_matrix piece;
    int64_t from = columns(p->matrix, part, n, &piece);
    sp_multiply_dense(&piece, p->values, p->k, p->n, p->y + from, p->matrix->n_out, p->level);
}

void sp_multiply_dense_shared(sp_pool *pool, const sp_matrix *matrix, const float *x,
                              int64_t stride, int64_t n, float *y, int level) {
    product_t p = {.matrix = matrix, .values = x, .k = stride, .n = n, .y = y, .level = level};
    int64_t bytes = matrix->n_in * matrix->row_bytes;
    sp_share(pool, parts_of(pool, matrix->n_out, bytes), dense_part, &p);
}
