/* Products of a sparse vector with a matrix whose rows lie by input: y = bias + sum v_i W[i, :].
 *
 * Only the rows of entries that are not zero are read. Rows are fp32, bf16, integers of 8 bits with
 * one scale a row, which is folded into v_i (whole.c does those where it can), or blocks of 4 bits
 * (weight.h). Sums are fp32, in the order of the entries by groups of four rows, so that the output
 * is read and written once for four rows.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "weight.h"

#define GROUP 4
#define STRETCH 4096 /* outputs; a multiple of 32 */

int64_t sp_bytes_to(int64_t kind, int64_t column) {
    static const int64_t bytes[] = {4, 2, 1};
    return kind == SP_I4 ? column / SP_TILE * BLOCK_BYTES : column * bytes[kind];
}

/* Whether a block is the first that begins in its line of the cache. */
static inline int begins_line(int64_t byte) { return (byte & 63) < BLOCK_BYTES; }

/* Add some rows, from a column on. */
static inline void add_plain(const void *const *rows, const float *v, int n, int kind, int64_t from,
                             int64_t n_out, float *y) {
    for (int r = 0; r < n; r++)
        for (int64_t o = from; o < n_out; o++) y[o] += v[r] * weight(rows[r], kind, o);
}

static void group_plain(const void *const *rows, const void *const *next, const float *v, int n,
                        int kind, int64_t n_out, float *y) {
    (void)next;
    add_plain(rows, v, n, kind, 0, n_out, y);
}

#ifdef SP_X86

#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static inline __m256 load_f32(const void *row, int64_t o) {
    return _mm256_loadu_ps((const float *)row + o);
}

AVX2 static inline __m256 load_bf16(const void *row, int64_t o) {
    __m128i half = _mm_loadu_si128((const __m128i *)((const uint16_t *)row + o));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

AVX2 static inline __m256 load_i8(const void *row, int64_t o) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)((const int8_t *)row + o));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/* Ask for a line of each of the next rows, once for every 64 bytes of the present ones. */
AVX2 static inline void ask(const void *const *next, int64_t byte) {
    for (int r = 0; r < GROUP; r++) _mm_prefetch((const char *)next[r] + byte, _MM_HINT_T0);
}

/* Four rows at a time; fewer are filled up with a coefficient of zero. BITS are those of a weight. */
#define DEFINE_GROUP(NAME, LOAD, BITS)                                                             \
    AVX2 static int64_t NAME(const void *const *rows, const void *const *next, const float *v,     \
                             int64_t n_out, float *y) {                                            \
        __m256 v0 = _mm256_set1_ps(v[0]), v1 = _mm256_set1_ps(v[1]);                               \
        __m256 v2 = _mm256_set1_ps(v[2]), v3 = _mm256_set1_ps(v[3]);                               \
        int64_t o = 0;                                                                             \
        for (; o + 16 <= n_out; o += 16) {                                                         \
            if ((o * BITS / 8 & 63) == 0) ask(next, o * BITS / 8);                                 \
            __m256 a = _mm256_loadu_ps(y + o), b = _mm256_loadu_ps(y + o + 8);                     \
            a = _mm256_fmadd_ps(v0, LOAD(rows[0], o), a);                                          \
            b = _mm256_fmadd_ps(v0, LOAD(rows[0], o + 8), b);                                      \
            a = _mm256_fmadd_ps(v1, LOAD(rows[1], o), a);                                          \
            b = _mm256_fmadd_ps(v1, LOAD(rows[1], o + 8), b);                                      \
            a = _mm256_fmadd_ps(v2, LOAD(rows[2], o), a);                                          \
            b = _mm256_fmadd_ps(v2, LOAD(rows[2], o + 8), b);                                      \
            a = _mm256_fmadd_ps(v3, LOAD(rows[3], o), a);                                          \
            b = _mm256_fmadd_ps(v3, LOAD(rows[3], o + 8), b);                                      \
            _mm256_storeu_ps(y + o, a);                                                            \
            _mm256_storeu_ps(y + o + 8, b);                                                        \
        }                                                                                          \
        return o;                                                                                  \
    }

DEFINE_GROUP(group_f32, load_f32, 32)
DEFINE_GROUP(group_bf16, load_bf16, 16)
DEFINE_GROUP(group_i8, load_i8, 8)

/* A coefficient times the scale of a block. The scale is the upper half of the last four bytes. */
AVX2 static inline __m256 scaled(const uint8_t *block, __m256 v) {
    int32_t last;
    memcpy(&last, block + SCALE_AT - 2, 4);
    __m256i bits = _mm256_and_si256(_mm256_set1_epi32(last), _mm256_set1_epi32(-65536));
    return _mm256_mul_ps(v, _mm256_castsi256_ps(bits));
}

AVX2 static int64_t group_i4(const void *const *rows, const void *const *next, const float *v,
                             int64_t n_out, float *y) {
    const __m128i low = _mm_set1_epi8(15), levels = _mm_setr_epi8(LEVELS);
    __m256 factors[GROUP];
    for (int r = 0; r < GROUP; r++) factors[r] = _mm256_set1_ps(v[r]);
    int64_t o = 0;
    for (int64_t at = 0; o + SP_TILE <= n_out; o += SP_TILE, at += BLOCK_BYTES) {
        if (begins_line(at)) ask(next, at);
        __m256 a = _mm256_loadu_ps(y + o), b = _mm256_loadu_ps(y + o + 8);
        __m256 c = _mm256_loadu_ps(y + o + 16), d = _mm256_loadu_ps(y + o + 24);
        for (int r = 0; r < GROUP; r++) {
            const uint8_t *block = (const uint8_t *)rows[r] + at;
            __m256 f = scaled(block, factors[r]);
            __m128i packed = _mm_loadu_si128((const __m128i *)block);
            __m128i first = _mm_shuffle_epi8(levels, _mm_and_si128(packed, low));
            __m128i second = _mm_and_si128(_mm_srli_epi16(packed, 4), low);
            second = _mm_shuffle_epi8(levels, second);
            a = _mm256_fmadd_ps(f, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(first)), a);
            b = _mm256_fmadd_ps(
                f, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(first, 8))), b);
            c = _mm256_fmadd_ps(f, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(second)), c);
            d = _mm256_fmadd_ps(
                f, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(second, 8))), d);
        }
        _mm256_storeu_ps(y + o, a);
        _mm256_storeu_ps(y + o + 8, b);
        _mm256_storeu_ps(y + o + 16, c);
        _mm256_storeu_ps(y + o + 24, d);
    }
    return o;
}

/* ---------- AVX-512 ---------- */

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))

AVX512 static inline __m512 wide_f32(const void *row, int64_t o) {
    return _mm512_loadu_ps((const float *)row + o);
}

AVX512 static inline __m512 wide_bf16(const void *row, int64_t o) {
    __m256i half = _mm256_loadu_si256((const __m256i *)((const uint16_t *)row + o));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

AVX512 static inline __m512 wide_i8(const void *row, int64_t o) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)((const int8_t *)row + o));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

#define DEFINE_WIDE_GROUP(NAME, LOAD, BITS)                                                        \
    AVX512 static int64_t NAME(const void *const *rows, const void *const *next, const float *v,   \
                               int64_t n_out, float *y) {                                          \
        __m512 v0 = _mm512_set1_ps(v[0]), v1 = _mm512_set1_ps(v[1]);                               \
        __m512 v2 = _mm512_set1_ps(v[2]), v3 = _mm512_set1_ps(v[3]);                               \
        int64_t o = 0;                                                                             \
        for (; o + 32 <= n_out; o += 32) {                                                         \
            if ((o * BITS / 8 & 63) == 0) ask(next, o * BITS / 8);                                 \
            __m512 a = _mm512_loadu_ps(y + o), b = _mm512_loadu_ps(y + o + 16);                    \
            a = _mm512_fmadd_ps(v0, LOAD(rows[0], o), a);                                          \
            b = _mm512_fmadd_ps(v0, LOAD(rows[0], o + 16), b);                                     \
            a = _mm512_fmadd_ps(v1, LOAD(rows[1], o), a);                                          \
            b = _mm512_fmadd_ps(v1, LOAD(rows[1], o + 16), b);                                     \
            a = _mm512_fmadd_ps(v2, LOAD(rows[2], o), a);                                          \
            b = _mm512_fmadd_ps(v2, LOAD(rows[2], o + 16), b);                                     \
            a = _mm512_fmadd_ps(v3, LOAD(rows[3], o), a);                                          \
            b = _mm512_fmadd_ps(v3, LOAD(rows[3], o + 16), b);                                     \
            _mm512_storeu_ps(y + o, a);                                                            \
            _mm512_storeu_ps(y + o + 16, b);                                                       \
        }                                                                                          \
        return o;                                                                                  \
    }

DEFINE_WIDE_GROUP(wide_group_f32, wide_f32, 32)
DEFINE_WIDE_GROUP(wide_group_bf16, wide_bf16, 16)
DEFINE_WIDE_GROUP(wide_group_i8, wide_i8, 8)

/* The levels are looked up in a register, by the lowest four bits of a byte. */
AVX512 static int64_t wide_group_i4(const void *const *rows, const void *const *next,
                                    const float *v, int64_t n_out, float *y) {
    static const float all[] = {LEVELS};
    const __m512 levels = _mm512_loadu_ps(all);
    __m512 factors[GROUP];
    for (int r = 0; r < GROUP; r++) factors[r] = _mm512_set1_ps(v[r]);
    int64_t o = 0;
    for (int64_t at = 0; o + SP_TILE <= n_out; o += SP_TILE, at += BLOCK_BYTES) {
        if (begins_line(at)) ask(next, at);
        __m512 a = _mm512_loadu_ps(y + o), b = _mm512_loadu_ps(y + o + 16);
        for (int r = 0; r < GROUP; r++) {
            const uint8_t *block = (const uint8_t *)rows[r] + at;
            int32_t last;
            memcpy(&last, block + SCALE_AT - 2, 4);
            __m512i bits = _mm512_and_si512(_mm512_set1_epi32(last), _mm512_set1_epi32(-65536));
            __m512 f = _mm512_mul_ps(factors[r], _mm512_castsi512_ps(bits));
            __m512i packed = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)block));
            __m512 first = _mm512_permutexvar_ps(packed, levels);
            __m512 second = _mm512_permutexvar_ps(_mm512_srli_epi32(packed, 4), levels);
            a = _mm512_fmadd_ps(f, first, a);
            b = _mm512_fmadd_ps(f, second, b);
        }
        _mm512_storeu_ps(y + o, a);
        _mm512_storeu_ps(y + o + 16, b);
    }
    return o;
}

typedef int64_t (*group_t)(const void *const *, const void *const *, const float *, int64_t,
                           float *);

static const group_t groups_avx2[] = {group_f32, group_bf16, group_i8, group_i4};
static const group_t groups_avx512[] = {wide_group_f32, wide_group_bf16, wide_group_i8,
                                        wide_group_i4};

/* Fewer rows than a group are filled up with a coefficient of zero. */
static void group_x86(const group_t *groups, const void *const *rows, const void *const *next,
                      const float *v, int n, int kind, int64_t n_out, float *y) {
    const void *all[GROUP];
    float factors[GROUP];
    for (int r = 0; r < GROUP; r++) {
        all[r] = rows[r < n ? r : 0];
        factors[r] = r < n ? v[r] : 0.0f;
    }
    int64_t done = groups[kind](all, next, factors, n_out, y);
    add_plain(rows, v, n, kind, done, n_out, y);
}

static void group_avx2(const void *const *rows, const void *const *next, const float *v, int n,
                       int kind, int64_t n_out, float *y) {
    group_x86(groups_avx2, rows, next, v, n, kind, n_out, y);
}

static void group_avx512(const void *const *rows, const void *const *next, const float *v, int n,
                         int kind, int64_t n_out, float *y) {
    group_x86(groups_avx512, rows, next, v, n, kind, n_out, y);
}

#endif

#ifdef SP_ARM

/* ---------- NEON: 16 outputs at a time, 32 where they are packed ---------- */

ALWAYS void add_bytes(float32x4_t *sums, int8x16_t bytes, float v) {
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    sums[0] = vfmaq_n_f32(sums[0], vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), v);
    sums[1] = vfmaq_n_f32(sums[1], vcvtq_f32_s32(vmovl_high_s16(low)), v);
    sums[2] = vfmaq_n_f32(sums[2], vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), v);
    sums[3] = vfmaq_n_f32(sums[3], vcvtq_f32_s32(vmovl_high_s16(high)), v);
}

ALWAYS void add_row(float32x4_t *sums, const void *row, int kind, int64_t o, float v) {
    if (kind == SP_F32) {
        const float *from = (const float *)row + o;
        for (int q = 0; q < 4; q++) sums[q] = vfmaq_n_f32(sums[q], vld1q_f32(from + 4 * q), v);
    } else if (kind == SP_BF16) {
        const uint16_t *from = (const uint16_t *)row + o;
        for (int q = 0; q < 4; q++) {
            uint32x4_t wide = vshll_n_u16(vld1_u16(from + 4 * q), 16);
            sums[q] = vfmaq_n_f32(sums[q], vreinterpretq_f32_u32(wide), v);
        }
    } else if (kind == SP_I8) {
        add_bytes(sums, vld1q_s8((const int8_t *)row + o), v);
    } else {
        static const int8_t all[] = {LEVELS};
        const uint8_t *block = (const uint8_t *)row + sp_bytes_to(SP_I4, o);
        uint8x16_t packed = vld1q_u8(block);
        int8x16_t levels = vld1q_s8(all);
        v *= block_scale(block);
        add_bytes(sums, vqtbl1q_s8(levels, vandq_u8(packed, vdupq_n_u8(15))), v);
        add_bytes(sums + 4, vqtbl1q_s8(levels, vshrq_n_u8(packed, 4)), v);
    }
}

ALWAYS void group_of_kind(const void *const *rows, const void *const *next, const float *v, int n,
                          int kind, int64_t n_out, float *y) {
    int64_t o = 0, step = kind == SP_I4 ? 32 : 16;
    for (; o + step <= n_out; o += step) {
        int64_t byte = sp_bytes_to(kind, o);
        if (kind == SP_I4 ? begins_line(byte) : (byte & 63) == 0)
            for (int r = 0; r < GROUP; r++) __builtin_prefetch((const char *)next[r] + byte);
        float32x4_t sums[8];
        for (int q = 0; q < step / 4; q++) sums[q] = vld1q_f32(y + o + 4 * q);
        for (int r = 0; r < n; r++) add_row(sums, rows[r], kind, o, v[r]);
        for (int q = 0; q < step / 4; q++) vst1q_f32(y + o + 4 * q, sums[q]);
    }
    add_plain(rows, v, n, kind, o, n_out, y);
}

static void group_neon(const void *const *rows, const void *const *next, const float *v, int n,
                       int kind, int64_t n_out, float *y) {
    switch (kind) {
    case SP_F32: group_of_kind(rows, next, v, n, SP_F32, n_out, y); break;
    case SP_BF16: group_of_kind(rows, next, v, n, SP_BF16, n_out, y); break;
    case SP_I8: group_of_kind(rows, next, v, n, SP_I8, n_out, y); break;
    default: group_of_kind(rows, next, v, n, SP_I4, n_out, y);
    }
}

#endif

void sp_multiply(const sp_matrix *matrix, const float *values, const int32_t *indices, int64_t k,
                 float *y, int level) {
    if (matrix->kind == SP_I8 && sp_multiply_bytes(matrix, values, indices, k, y, level)) return;
    void (*group)(const void *const *, const void *const *, const float *, int, int, int64_t,
                  float *) = group_plain;
#ifdef SP_X86
    if (level >= SP_AVX512) group = group_avx512;
    else if (level >= SP_AVX2) group = group_avx2;
#endif
#ifdef SP_ARM
    if (level == SP_NEON) group = group_neon;
#endif
    (void)level;
    const float *scales = matrix->scales;
    int64_t row_bytes = matrix->row_bytes, n_out = matrix->n_out;
    if (matrix->bias) memcpy(y, matrix->bias, (size_t)n_out * sizeof(float));
    else memset(y, 0, (size_t)n_out * sizeof(float));
    /* A stretch of outputs stays in the nearest cache while all rows are added to it. */
    for (int64_t from = 0; from < n_out; from += STRETCH) {
        int64_t width = n_out - from < STRETCH ? n_out - from : STRETCH;
        const char *first = (const char *)matrix->rows + sp_bytes_to(matrix->kind, from);
        for (int64_t i = 0; i < k; i += GROUP) {
            const void *rows[GROUP], *next[GROUP];
            float factors[GROUP];
            int n = (int)(k - i < GROUP ? k - i : GROUP);
            for (int r = 0; r < n; r++) {
                rows[r] = first + indices[i + r] * row_bytes;
                factors[r] = values[i + r] * (scales ? scales[indices[i + r]] : 1.0f);
            }
            /* After the last row the present ones are asked for again, which costs nothing. */
            for (int r = 0; r < GROUP; r++)
                next[r] = i + GROUP + r < k ? first + indices[i + GROUP + r] * row_bytes : rows[0];
            group(rows, next, factors, n, (int)matrix->kind, width, y + from);
        }
    }
}

static int64_t place(const void *indices, int is_wide, int64_t i) {
    return is_wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

/* One vector or several, each with its own k entries. Rows of weights are `row_bytes` apart; wide
 * indices have 64 bits, others 32. */
SP_EXPORT int sp_gather(const void *weights, int kind, int64_t row_bytes, const float *scales,
                        int64_t n_in, int64_t n_out, const float *values, const void *indices,
                        int is_wide, int64_t n_vectors, int64_t k, const float *bias, float *y,
                        int level) {
    if (kind < SP_F32 || kind > SP_I4 || n_out < 1 || k < 0) return SP_BAD_ARGUMENT;
    for (int64_t i = 0; i < n_vectors * k; i++) {
        int64_t at = place(indices, is_wide, i);
        if (at < 0 || at >= n_in) return SP_BAD_ARGUMENT;
    }
    int32_t *narrow = is_wide && k ? malloc((size_t)k * sizeof(int32_t)) : NULL;
    if (is_wide && k && !narrow) return SP_NO_MEMORY;
    sp_matrix matrix = {.rows = weights, .scales = scales, .bias = bias, .n_in = n_in,
                        .n_out = n_out, .row_bytes = row_bytes, .kind = kind};
    for (int64_t vector = 0; vector < n_vectors; vector++) {
        const int32_t *own = is_wide ? narrow : (const int32_t *)indices + vector * k;
        for (int64_t i = 0; is_wide && i < k; i++)
            narrow[i] = (int32_t)place(indices, is_wide, vector * k + i);
        sp_multiply(&matrix, values + vector * k, own, k, y + vector * n_out, level);
    }
    free(narrow);
    return SP_OK;
}
