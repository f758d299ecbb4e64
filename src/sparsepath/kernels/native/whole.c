/* Products of a sparse vector with rows of 8 bits, summed as whole numbers eight rows at a time.
 *
 * The coefficients of eight rows are rounded to 1/32,767 of the largest of them, so that their
 * products with weights are integers of 24 bits and eight of these add up without rounding: two
 * rows cost what one costs when weights become fp32 first. Sums of eight rows are added in fp32.
 * Every instruction set gives the same bits; plain C, which has none, is left to gather.c.
 */

#include <float.h>
#include <math.h>
#include <string.h>

#include "native.h"
#include "weight.h"

#define ROWS 8
#define PAIRS (ROWS / 2)
#define TOP 32767
#define LEAST 1e-30f /* below, TOP over it is no number of fp32 */
#define LOUD 8.0f /* times the mean: rows with a measure of their own */
#define STRETCH 4096 /* outputs; a multiple of 32 */
#define AT_ONCE 32

/* Eight rows from a column on; missing ones are others with a factor of zero. */
typedef struct {
    const int8_t *rows[ROWS], *next[ROWS]; /* those to ask for while these are read */
    int16_t factors[ROWS];
    float scale;
} few_t;

/* Coefficients of eight rows as whole numbers; `most` is the largest. */
static void round_factors(const float *v, float most, few_t *few) {
    float unit = most >= LEAST ? TOP / most : 0; /* so small that no sum would show it */
    for (int r = 0; r < ROWS; r++) {
        float x = v[r] * unit;
        few->factors[r] = (int16_t)(x < 0 ? x - 0.5f : x + 0.5f);
    }
    few->scale = most / TOP;
}

#ifdef SP_X86

/* Two neighbours of the factors, as every lane wants them. */
ALWAYS int32_t pair(const few_t *few, int p) {
    int32_t both;
    memcpy(&both, few->factors + 2 * p, 4);
    return both;
}

ALWAYS void ask(const few_t *few, int64_t byte) {
    for (int r = 0; r < ROWS; r++) _mm_prefetch((const char *)few->next[r] + byte, _MM_HINT_T1);
}

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))

/* Bytes become 16 bits, rows are interleaved two by two within 128 bits, and what two rows give an
 * output is one instruction. Outputs so lie in another order within AT_ONCE, until `in_order`. */
#define DEFINE_ADD(NAME, TARGET, V, F, LANES, LOAD, WIDEN, LOW, HIGH, MADD, ADD, SET, SET_F, TO_F, \
                   GET_F, PUT_F, FMA)                                                              \
    TARGET static int64_t NAME(const few_t *few, int64_t n_out, float *y) {                        \
        const int8_t *rows[ROWS];                                                                  \
        V pairs[PAIRS];                                                                            \
        F scale = SET_F(few->scale);                                                               \
        for (int r = 0; r < ROWS; r++) rows[r] = few->rows[r];                                     \
        for (int p = 0; p < PAIRS; p++) pairs[p] = SET(pair(few, p));                              \
        int64_t o = 0;                                                                             \
        for (; o + AT_ONCE <= n_out; o += AT_ONCE) {                                               \
            if ((o & 63) == 0) ask(few, o);                                                        \
            for (int64_t at = o; at < o + AT_ONCE; at += 2 * LANES) {                              \
                V low = SET(0), high = SET(0);                                                     \
                for (int p = 0; p < PAIRS; p++) {                                                  \
                    V a = WIDEN(LOAD((const void *)(rows[2 * p] + at)));                           \
                    V b = WIDEN(LOAD((const void *)(rows[2 * p + 1] + at)));                       \
                    low = ADD(low, MADD(pairs[p], LOW(a, b)));                                     \
                    high = ADD(high, MADD(pairs[p], HIGH(a, b)));                                  \
                }                                                                                  \
                PUT_F(y + at, FMA(scale, TO_F(low), GET_F(y + at)));                               \
                PUT_F(y + at + LANES, FMA(scale, TO_F(high), GET_F(y + at + LANES)));              \
            }                                                                                      \
        }                                                                                          \
        return o;                                                                                  \
    }

DEFINE_ADD(add_avx2, AVX2, __m256i, __m256, 8, _mm_loadu_si128, _mm256_cvtepi8_epi16,
           _mm256_unpacklo_epi16, _mm256_unpackhi_epi16, _mm256_madd_epi16, _mm256_add_epi32,
           _mm256_set1_epi32, _mm256_set1_ps, _mm256_cvtepi32_ps, _mm256_loadu_ps,
           _mm256_storeu_ps, _mm256_fmadd_ps)
DEFINE_ADD(add_avx512, AVX512, __m512i, __m512, 16, _mm256_loadu_si256, _mm512_cvtepi8_epi16,
           _mm512_unpacklo_epi16, _mm512_unpackhi_epi16, _mm512_madd_epi16, _mm512_add_epi32,
           _mm512_set1_epi32, _mm512_set1_ps, _mm512_cvtepi32_ps, _mm512_loadu_ps,
           _mm512_storeu_ps, _mm512_fmadd_ps)

/* Outputs back in their places: of each 2 * lanes, fours that lie low and high take turns. */
static void in_order(float *y, int64_t n, int lanes) {
    float were[AT_ONCE];
    for (int64_t o = 0; o < n; o += 2 * lanes) {
        memcpy(were, y + o, (size_t)(2 * lanes) * sizeof(float));
        for (int four = 0; four < lanes / 4; four++) {
            memcpy(y + o + 8 * four, were + 4 * four, 4 * sizeof(float));
            memcpy(y + o + 8 * four + 4, were + lanes + 4 * four, 4 * sizeof(float));
        }
    }
}

#endif

#ifdef SP_ARM

static int64_t add_neon(const few_t *few, int64_t n_out, float *y) {
    int64_t o = 0;
    for (; o + AT_ONCE <= n_out; o += AT_ONCE) {
        if ((o & 63) == 0)
            for (int r = 0; r < ROWS; r++) __builtin_prefetch(few->next[r] + o, 0, 2);
        for (int64_t at = o; at < o + AT_ONCE; at += 16) {
            int32x4_t sums[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
            for (int r = 0; r < ROWS; r++) {
                int8x16_t bytes = vld1q_s8(few->rows[r] + at);
                int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
                int16_t factor = few->factors[r];
                sums[0] = vmlal_n_s16(sums[0], vget_low_s16(low), factor);
                sums[1] = vmlal_high_n_s16(sums[1], low, factor);
                sums[2] = vmlal_n_s16(sums[2], vget_low_s16(high), factor);
                sums[3] = vmlal_high_n_s16(sums[3], high, factor);
            }
            for (int q = 0; q < 4; q++) {
                float *to = y + at + 4 * q;
                vst1q_f32(to, vfmaq_n_f32(vld1q_f32(to), vcvtq_f32_s32(sums[q]), few->scale));
            }
        }
    }
    return o;
}

#endif

typedef int64_t (*add_t)(const few_t *, int64_t, float *);

static add_t add_of(int level) {
#ifdef SP_X86
    if (level == SP_AVX512) return add_avx512;
    if (level == SP_AVX2) return add_avx2;
#endif
#ifdef SP_ARM
    if (level == SP_NEON) return add_neon;
#endif
    (void)level;
    return 0;
}

static float factor_of(const sp_matrix *matrix, const float *values, const int32_t *indices,
                       int64_t i) {
    return values[i] * (matrix->scales ? matrix->scales[indices[i]] : 1.0f);
}

/* Add a row by a factor of 30 bits: one of 15, then what its rounding left. */
static void add_alone(add_t add, const int8_t *row, float factor, int64_t width, float *y) {
    few_t few;
    float v[ROWS] = {factor};
    for (int r = 0; r < ROWS; r++) few.rows[r] = few.next[r] = row;
    for (int part = 0; part < 2; part++) {
        round_factors(v, fabsf(v[0]), &few);
        add(&few, width, y);
        v[0] -= (float)few.factors[0] * few.scale;
    }
}

/* Add eight rows and their remaining outputs. Loud ones among them are added alone, so that the
 * others are not rounded by their measure. Gives the outputs that lie in the other order. */
static int64_t add_rows(add_t add, few_t *few, float *v, float loud, int64_t width, float *y) {
    float most = 0;
    for (int r = 0; r < ROWS; r++)
        for (int64_t o = width / AT_ONCE * AT_ONCE; v[r] != 0 && o < width; o++)
            y[o] += v[r] * (float)few->rows[r][o];
    for (int r = 0; r < ROWS; r++) {
        float size = fabsf(v[r]);
        if (size > loud) {
            add_alone(add, few->rows[r], v[r], width, y);
            v[r] = 0;
        } else if (size > most) most = size;
    }
    round_factors(v, most, few);
    return add(few, width, y);
}

int sp_multiply_bytes(const sp_matrix *matrix, const float *values, const int32_t *indices,
                      int64_t k, float *y, int level) {
    add_t add = add_of(level);
    int64_t row_bytes = matrix->row_bytes, n_out = matrix->n_out;
    float sum = 0;
    if (!add) return 0;
    for (int64_t i = 0; i < k; i++) sum += fabsf(factor_of(matrix, values, indices, i));
    if (!(sum <= FLT_MAX)) return 0; /* what is no number makes all of them none */
    float loud = k ? LOUD * sum / (float)k : 0;
    memset(y, 0, (size_t)n_out * sizeof(float));
    /* A stretch of outputs stays in the nearest cache while all rows are added to it. */
    for (int64_t from = 0; from < n_out; from += STRETCH) {
        int64_t width = n_out - from < STRETCH ? n_out - from : STRETCH, ordered = 0;
        const int8_t *first = (const int8_t *)matrix->rows + from;
        for (int64_t i = 0; i < k; i += ROWS) {
            few_t few;
            float v[ROWS];
            int n = (int)(k - i < ROWS ? k - i : ROWS);
            for (int r = 0; r < ROWS; r++) {
                few.rows[r] = first + indices[i + (r < n ? r : 0)] * row_bytes;
                v[r] = r < n ? factor_of(matrix, values, indices, i + r) : 0;
                /* After the last rows the present ones are asked for again: it costs nothing. */
                few.next[r] =
                    i + ROWS + r < k ? first + indices[i + ROWS + r] * row_bytes : few.rows[0];
            }
            ordered = add_rows(add, &few, v, loud, width, y + from);
        }
#ifdef SP_X86
        in_order(y + from, ordered, level == SP_AVX512 ? 16 : 8);
#else
        (void)ordered;
#endif
    }
    for (int64_t o = 0; matrix->bias && o < n_out; o++) y[o] += matrix->bias[o];
    return 1;
}
