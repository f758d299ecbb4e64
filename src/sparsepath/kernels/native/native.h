/* What the files of this folder share. No Python in here: the library is loaded by ctypes. */

#ifndef SP_NATIVE_H
#define SP_NATIVE_H

#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SP_X86 1
#include <immintrin.h>
#endif

#if defined(_WIN32)
#define SP_EXPORT __declspec(dllexport)
#else
#define SP_EXPORT __attribute__((visibility("default")))
#endif

/* What functions return. */
enum { SP_OK = 0, SP_BAD_ARGUMENT = 1, SP_NO_MEMORY = 2 };

/* Instruction sets, each holding those before it. */
enum { SP_PLAIN = 0, SP_AVX2 = 1, SP_AVX512 = 2 };

/* How rows of weights are stored. */
enum { SP_F32 = 0, SP_BF16 = 1, SP_I8 = 2, SP_I4 = 3 };

/* A matrix whose rows lie by input. */
typedef struct {
    const void *rows;
    const float *scales; /* one a row; NULL: all 1 */
    const float *bias;   /* one an output; NULL: none */
    int64_t n_in, n_out;
    int64_t row_bytes; /* from one row to the next */
    int64_t kind;
} sp_matrix;

/* y = bias + the sum of some rows, each times its value. */
void sp_multiply(const sp_matrix *matrix, const float *values, const int32_t *indices, int64_t k,
                 float *y, int level);

/* y = bias + x W for n vectors, `stride` apart, of which most entries are not zero. */
void sp_multiply_dense(const sp_matrix *matrix, const float *x, int64_t stride, int64_t n,
                       float *y, int level);

/* The k largest entries of each row, at ascending indices. */
SP_EXPORT int sp_topk_f32(const float *x, int64_t rows, int64_t stride, int64_t d, int64_t k,
                          float *values, int32_t *indices, int level);

void sp_fill_topk_tables(void);

#endif
