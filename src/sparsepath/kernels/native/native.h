/* What the files of this folder share. No Python in here: the library is loaded by ctypes. */

#ifndef SP_NATIVE_H
#define SP_NATIVE_H

#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SP_X86 1
#include <immintrin.h>
#endif

#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define SP_ARM 1
#include <arm_neon.h>
#endif

#if defined(_WIN32)
#define SP_EXPORT __declspec(dllexport)
#else
#define SP_EXPORT __attribute__((visibility("default")))
#endif

/* What functions return. */
enum { SP_OK = 0, SP_BAD_ARGUMENT = 1, SP_NO_MEMORY = 2 };

/* Instruction sets: of x86, where AVX-512 holds AVX2, and of ARM. */
enum { SP_PLAIN = 0, SP_AVX2 = 1, SP_AVX512 = 2, SP_NEON = 3 };

/* How rows of weights are stored. */
enum { SP_F32 = 0, SP_BF16 = 1, SP_I8 = 2, SP_I4 = 3 };

/* A matrix whose rows lie by input. */
typedef struct {
    const void *rows;
    const float *scales; /* one a row, of 8 bits; NULL: all 1 */
    const float *bias;   /* one an output; NULL: none */
    int64_t n_in, n_out;
    int64_t row_bytes; /* from one row to the next */
    int64_t kind;
    const int32_t *doubled; /* inputs that the last rows belong to as well, ascending */
    int64_t n_doubled;      /* at most 8 */
} sp_matrix;

/* y = bias + the sum of some rows, each times its value. */
void sp_multiply(const sp_matrix *matrix, const float *values, const int32_t *indices, int64_t k,
                 float *y, int level);

/* The same of rows of 8 bits, where there is an instruction set for it and values are usual
 * numbers; gives whether that is so. */
int sp_multiply_bytes(const sp_matrix *matrix, const float *values, const int32_t *indices,
                      int64_t k, float *y, int level);

/* y = bias + x W for n vectors, of which most entries are not zero; vectors lie `stride` apart, and
 * what becomes of them `y_stride`. */
void sp_multiply_dense(const sp_matrix *matrix, const float *x, int64_t stride, int64_t n,
                       float *y, int64_t y_stride, int level);

/* Outputs of a row of weights as sp_add_tile has them, and of a block of 4 bits. */
enum { SP_TILE = 32 };

/* y += x W for n vectors and up to 32 outputs, of which `width` exist: rows of 32 fp32 weights, one
 * an input. Where there is an instruction set for it; gives whether there is. */
int sp_add_tile(const float *weights, int64_t rows, const float *x, int64_t stride, int64_t n,
                float *y, int64_t y_stride, int64_t width, int level);

/* Whether that is faster than n products with `entries` in all that are not zero. */
int sp_is_dense_faster(const sp_matrix *matrix, int64_t n, int64_t entries, int level);

/* The root mean square norm. */
void sp_norm(const float *x, const float *weight, int64_t n, double eps, float *y, int level);

/* Scores, times a scale, become e^(score - the highest); their sum is given. */
float sp_softmax(float *scores, int64_t n, float scale, int level);

/* Keys or values of one head, a row a position. */
typedef struct {
    void *rows;    /* fp32, or 8 bits where there are scales */
    float *scales; /* one a position; NULL: fp32 */
} sp_past;

/* Keep a key or a value at its position. */
void sp_put(const float *x, int64_t dim, int64_t position, sp_past past);

/* One query over n positions from one on; `scores` has room for as many. */
void sp_attend(const float *q, sp_past keys, sp_past values, int64_t first, int64_t n, int64_t dim,
               float *scores, float *y, int level);

/* The same of keys and values of 8 bits. */
void sp_attend_bytes(const float *q, sp_past keys, sp_past values, int64_t first, int64_t n,
                     int64_t dim, float *scores, float *y, int level);

/* One head of n queries, the first at `position`; each sees the positions up to its own, the last
 * `window` of them where that is not 0. Queries lie `stride` apart, what becomes of them
 * `y_stride`; `scores` has room for sp_attend_room(n, positions) floats. */
void sp_attend_block(const float *q, int64_t stride, int64_t n, sp_past keys, sp_past values,
                     int64_t position, int64_t window, int64_t dim, float *scores, float *y,
                     int64_t y_stride, int level);

int64_t sp_attend_room(int64_t n, int64_t positions);

/* SiLU of the gate, times what is gated. */
void sp_gate(const float *gate, const float *up, int64_t n, float *y, int level);

/* Bytes of a row up to a column that is a multiple of 32. */
int64_t sp_bytes_to(int64_t kind, int64_t column);

/* Threads that stay (pool.c). NULL is one thread. */
typedef struct sp_pool sp_pool;

/* Does one of the n parts of a task. */
typedef void (*sp_part)(void *task, int64_t part, int64_t n);

/* Do all n parts of a task, in any order and at the same time; one task at a time. */
void sp_share(sp_pool *pool, int64_t n, sp_part part, void *task);

SP_EXPORT int64_t sp_pool_threads(const sp_pool *pool);

/* The products above by the threads of a pool, with the same result to the bit. */
void sp_multiply_shared(sp_pool *pool, const sp_matrix *matrix, const float *values,
                        const int32_t *indices, int64_t k, float *y, int level);
void sp_multiply_dense_shared(sp_pool *pool, const sp_matrix *matrix, const float *x,
                              int64_t stride, int64_t n, float *y, int level);

/* The k largest entries of each row, at ascending indices. */
SP_EXPORT int sp_topk_f32(const float *x, int64_t rows, int64_t stride, int64_t d, int64_t k,
                          float *values, int32_t *indices, int level);

void sp_fill_topk_tables(void);

void sp_note_forks(void);

#endif
