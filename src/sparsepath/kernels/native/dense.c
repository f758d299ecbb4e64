/* Products of several vectors at once with a matrix whose rows lie by input: y = bias + x W.
 *
 * The weights of some rows are written out as fp32 once for all vectors, a strip of outputs at a
 * time. On x86 a tile of vectors and 32 outputs then stays in registers while these rows are added
 * to it; elsewhere the compiler's own vectors do. Every output is summed over the inputs in order,
 * whatever tile or thread it falls to.
 */

#include "native.h"
#include "weight.h"

#define GROUP 4
#define STRIP 512
#define TILE SP_TILE
#define ROWS 64 /* inputs whose weights are written out together */

/* Write a strip of a row out, times its scale. `from` is a multiple of 32. */
ALWAYS void write_out(const void *row, int64_t kind, float scale, int64_t from, int64_t n,
                      float *out) {
    const char *first = (const char *)row + sp_bytes_to(kind, from);
    switch (kind) {
    case SP_F32:
        for (int64_t o = 0; o < n; o++) out[o] = scale * ((const float *)first)[o];
        break;
    case SP_BF16:
        for (int64_t o = 0; o < n; o++) out[o] = scale * bf16(((const uint16_t *)first)[o]);
        break;
    case SP_I8:
        for (int64_t o = 0; o < n; o++) out[o] = scale * (float)((const int8_t *)first)[o];
        break;
    default:
        for (int64_t o = 0; o < n; o++) out[o] = scale * weight(first, SP_I4, o);
    }
}

/* Every row is written out once for all vectors, a strip at a time. */
ALWAYS void multiply_block(const sp_matrix *matrix, const float *x, int64_t stride, int64_t n,
                           float *y, int64_t y_stride) {
    float strips[GROUP][STRIP];
    int64_t n_in = matrix->n_in, n_out = matrix->n_out;
    for (int64_t from = 0; from < n_out; from += STRIP) {
        int64_t width = n_out - from < STRIP ? n_out - from : STRIP;
        for (int64_t i = 0; i < n_in; i += GROUP) {
            int rows = (int)(n_in - i < GROUP ? n_in - i : GROUP);
            for (int r = 0; r < rows; r++) {
                const char *row = (const char *)matrix->rows + (i + r) * matrix->row_bytes;
                float scale = matrix->scales ? matrix->scales[i + r] : 1.0f;
                write_out(row, matrix->kind, scale, from, width, strips[r]);
            }
            for (int64_t t = 0; t < n; t++) {
                const float *v = x + t * stride + i;
                float *out = y + t * y_stride + from;
                float v0 = v[0], v1 = rows > 1 ? v[1] : 0, v2 = rows > 2 ? v[2] : 0;
                float v3 = rows > 3 ? v[3] : 0;
                if (rows < GROUP)
                    for (int r = rows; r < GROUP; r++) memset(strips[r], 0, sizeof strips[r]);
                for (int64_t o = 0; o < width; o++)
                    out[o] += v0 * strips[0][o] + v1 * strips[1][o] + v2 * strips[2][o] +
                              v3 * strips[3][o];
            }
        }
    }
}

#ifdef SP_X86

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))

/* A block of 4 bits: by hand, since compilers take loops over half a byte apart. */
AVX2 static inline void write_four_bits(const uint8_t *block, float *out) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)block), low = _mm_set1_epi8(15);
    __m128i halves[] = {_mm_and_si128(bytes, low), _mm_and_si128(_mm_srli_epi16(bytes, 4), low)};
    __m256 factor = _mm256_set1_ps(block_scale(block));
    for (int h = 0; h < 2; h++) {
        __m128i weights = _mm_shuffle_epi8(_mm_setr_epi8(LEVELS), halves[h]);
        __m256i first = _mm256_cvtepi8_epi32(weights);
        __m256i second = _mm256_cvtepi8_epi32(_mm_srli_si128(weights, 8));
        _mm256_storeu_ps(out + 16 * h, _mm256_mul_ps(factor, _mm256_cvtepi32_ps(first)));
        _mm256_storeu_ps(out + 16 * h + 8, _mm256_mul_ps(factor, _mm256_cvtepi32_ps(second)));
    }
}

/* 32 outputs of some rows, the first row at `row`; its next outputs are asked for. */
#define WRITE(TYPE, VALUE)                                                                         \
    for (int64_t i = 0; i < rows; i++, out += TILE) {                                              \
        const TYPE *restrict from = (const TYPE *)(row + i * matrix->row_bytes);                   \
        float scale = scales ? scales[i] : 1.0f;                                                   \
        for (int o = 0; o < TILE; o++) out[o] = scale * (VALUE);                                   \
        __builtin_prefetch((const char *)from + 64);                                               \
    }

AVX2 ALWAYS void write_whole(const sp_matrix *matrix, const char *row, const float *scales,
                        int64_t rows, float *restrict out) {
    switch (matrix->kind) {
    case SP_F32: WRITE(float, from[o]) break;
    case SP_BF16: WRITE(uint16_t, bf16(from[o])) break;
    case SP_I8: WRITE(int8_t, (float)from[o]) break;
    default:
        for (int64_t i = 0; i < rows; i++, out += TILE) {
            const uint8_t *restrict from = (const uint8_t *)(row + i * matrix->row_bytes);
            write_four_bits(from, out);
            __builtin_prefetch((const char *)from + 64);
        }
    }
}

/* The same of a tile that ends behind the last output: zero there. */
AVX2 ALWAYS void write_tile(const sp_matrix *matrix, int64_t first, int64_t rows, int64_t from,
                       float *out) {
    const char *row = (const char *)matrix->rows + first * matrix->row_bytes;
    const float *scales = matrix->scales ? matrix->scales + first : 0;
    int64_t width = matrix->n_out - from;
    if (width >= TILE) {
        write_whole(matrix, row + sp_bytes_to(matrix->kind, from), scales, rows, out);
        return;
    }
    memset(out, 0, (size_t)(rows * TILE) * sizeof(float));
    for (int64_t i = 0; i < rows; i++)
        write_out(row + i * matrix->row_bytes, matrix->kind, scales ? scales[i] : 1.0f, from,
                  width, out + i * TILE);
}

/* Add some rows, written out, to T vectors' outputs. */
#define DEFINE_TILE(NAME, TARGET, T, V, VECTOR, LANES, LOAD, STORE, ALL, ADD)                      \
    TARGET static void NAME(const float *weights, int64_t rows, const float *x, int64_t stride,    \
                            float *y, int64_t y_stride) {                                          \
        VECTOR sums[T][V];                                                                         \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                    \
                sums[t][v] = LOAD(y + t * y_stride + v * LANES);                                   \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            VECTOR row[V];                                                                         \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                    \
                row[v] = LOAD(weights + i * TILE + v * LANES);                                     \
            _Pragma("GCC unroll 8") for (int t = 0; t < T; t++) {                                  \
                VECTOR value = ALL(x[t * stride + i]);                                             \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                \
                    sums[t][v] = ADD(value, row[v], sums[t][v]);                                   \
            }                                                                                      \
        }                                                                                          \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                    \
                STORE(y + t * y_stride + v * LANES, sums[t][v]);                                   \
    }

#define NARROW(NAME, T)                                                                            \
    DEFINE_TILE(NAME, AVX2, T, 4, __m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps,    \
                _mm256_fmadd_ps)
#define WIDE(NAME, T)                                                                              \
    DEFINE_TILE(NAME, AVX512, T, 2, __m512, 16, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, \
                _mm512_fmadd_ps)

NARROW(narrow_1, 1)
NARROW(narrow_2, 2)
WIDE(wide_1, 1)
WIDE(wide_4, 4)
WIDE(wide_8, 8)

typedef void (*tile_t)(const float *, int64_t, const float *, int64_t, float *, int64_t);

/* Some vectors; outputs behind the last one are worked out beside the others and left there. */
static void add_tile(tile_t tile, int vectors, const float *weights, int64_t rows, const float *x,
                     int64_t stride, float *y, int64_t y_stride, int64_t width) {
    if (width >= TILE) {
        tile(weights, rows, x, stride, y, y_stride);
        return;
    }
    float beside[8 * TILE] = {0};
    size_t bytes = (size_t)width * sizeof(float);
    for (int t = 0; t < vectors; t++) memcpy(beside + t * TILE, y + t * y_stride, bytes);
    tile(weights, rows, x, stride, beside, TILE);
    for (int t = 0; t < vectors; t++) memcpy(y + t * y_stride, beside + t * TILE, bytes);
}

/* All vectors, the largest tiles first. */
static void add_tiles(const float *weights, int64_t rows, const float *x, int64_t stride, int64_t n,
                      float *y, int64_t y_stride, int64_t width, int is_wide) {
    static const struct {
        tile_t tile;
        int vectors;
    } all[2][3] = {{{narrow_2, 2}, {narrow_1, 1}, {0, 0}}, {{wide_8, 8}, {wide_4, 4}, {wide_1, 1}}};
    int64_t t = 0;
    for (int q = 0; t < n; q++) {
        int vectors = all[is_wide][q].vectors;
        for (; t + vectors <= n; t += vectors)
            add_tile(all[is_wide][q].tile, vectors, weights, rows, x + t * stride, stride,
                     y + t * y_stride, y_stride, width);
    }
}

#define DEFINE_DENSE(NAME, TARGET, IS_WIDE)                                                        \
    TARGET static void NAME(const sp_matrix *matrix, const float *x, int64_t stride, int64_t n,    \
                            float *y, int64_t y_stride) {                                          \
        float weights[ROWS * TILE];                                                                \
        for (int64_t first = 0; first < matrix->n_in; first += ROWS) {                             \
            int64_t rows = matrix->n_in - first < ROWS ? matrix->n_in - first : ROWS;              \
            for (int64_t from = 0; from < matrix->n_out; from += TILE) {                           \
                write_tile(matrix, first, rows, from, weights);                                    \
                add_tiles(weights, rows, x + first, stride, n, y + from, y_stride,                 \
                          matrix->n_out - from, IS_WIDE);                                          \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_DENSE(dense_avx2, AVX2, 0)
DEFINE_DENSE(dense_avx512, AVX512, 1)

#endif

int sp_add_tile(const float *weights, int64_t rows, const float *x, int64_t stride, int64_t n,
                float *y, int64_t y_stride, int64_t width, int level) {
#ifdef SP_X86
    if (level == SP_AVX2 || level == SP_AVX512) {
        add_tiles(weights, rows, x, stride, n, y, y_stride, width, level == SP_AVX512);
        return 1;
    }
#endif
    (void)weights, (void)rows, (void)x, (void)stride, (void)n, (void)y, (void)y_stride;
    (void)width, (void)level;
    return 0;
}

/* Break-even of n vectors with so many entries in all: measured shares of the inputs, by kind of
 * weight. Entries read their rows each; a dense product writes every row out, once for all. */
int sp_is_dense_faster(const sp_matrix *matrix, int64_t n, int64_t entries, int level) {
    static const struct {
        float share, once; /* of all inputs of a vector; of all inputs, for writing out */
    } levels[][4] = {
        [SP_PLAIN] = {{.10f, 1.0f}, {.10f, 1.0f}, {.07f, 1.0f}, {.07f, 1.0f}},
        [SP_AVX2] = {{.16f, 2.2f}, {.35f, 2.5f}, {.70f, 2.6f}, {.33f, 1.3f}},
        [SP_AVX512] = {{.09f, 1.9f}, {.19f, 3.2f}, {.60f, 3.5f}, {.29f, 1.9f}},
        [SP_NEON] = {{.12f, 1.5f}, {.12f, 1.5f}, {.12f, 1.5f}, {.12f, 1.5f}}, /* assumed */
    };
    float inputs = levels[level][matrix->kind].share * (float)n + levels[level][matrix->kind].once;
    return (float)entries > inputs * (float)matrix->n_in;
}

void sp_multiply_dense(const sp_matrix *matrix, const float *x, int64_t stride, int64_t n,
                       float *y, int64_t y_stride, int level) {
    for (int64_t t = 0; t < n; t++) {
        float *out = y + t * y_stride;
        if (matrix->bias) memcpy(out, matrix->bias, (size_t)matrix->n_out * sizeof(float));
        else memset(out, 0, (size_t)matrix->n_out * sizeof(float));
    }
#ifdef SP_X86
    if (level == SP_AVX2 || level == SP_AVX512) {
        (level == SP_AVX512 ? dense_avx512 : dense_avx2)(matrix, x, stride, n, y, y_stride);
        return;
    }
#endif
    (void)level;
    multiply_block(matrix, x, stride, n, y, y_stride);
}
