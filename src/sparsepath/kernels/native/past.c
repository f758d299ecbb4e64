/* Keys and values of 8 bits, a scale for each position of a head: a quarter of what has to be read
 * for each new token of a long text. As runtime/language/cache.py has them.
 *
 * Scores are sums of whole numbers: a query is rounded to 16 bits, which is 250 times finer than
 * what it is multiplied with, and such products are two instructions for 16 entries.
 */

#include <math.h>
#include <string.h>

#include "native.h"
#include "weight.h"

#define WIDEST 512       /* entries whose products of 15 and 7 bits fit 31 */
#define NEAREST 12582912 /* 1.5 * 2^23: a float beyond it has no room for a fraction */
#define AT_ONCE 8        /* positions */
#define AHEAD 4096       /* bytes that are asked for before they are needed */

typedef struct {
    int16_t entries[WIDEST];
    float scale;
} query_t;

/* The largest size of some numbers; not a number where one of them is not finite. */
static float largest(const float *x, int64_t n) {
    float top = 0, strange = 0;
    for (int64_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        top = size > top ? size : top;
        strange += x[i] * 0.0f;
    }
    return top + strange;
}

/* What is 0 or not finite is rounded to 0. */
static inline float nearest(float x, float unit) {
    return unit > 0 ? (x * unit + NEAREST) - NEAREST : 0;
}

static float unit_of(float top, float steps) { return top > 0 ? steps / top : 0; }

void sp_put(const float *x, int64_t dim, int64_t position, sp_past past) {
    if (!past.scales) {
        memcpy((float *)past.rows + position * dim, x, (size_t)dim * sizeof(float));
        return;
    }
    int8_t *row = (int8_t *)past.rows + position * dim;
    float top = largest(x, dim), unit = unit_of(top, 127.0f);
    for (int64_t i = 0; i < dim; i++) row[i] = (int8_t)nearest(x[i], unit);
    past.scales[position] = top / 127.0f;
}

ALWAYS float score_of(const query_t *query, const int8_t *key, int64_t dim) {
    int32_t sum = 0;
    for (int64_t i = 0; i < dim; i++) sum += (int32_t)query->entries[i] * (int32_t)key[i];
    return (float)sum;
}

ALWAYS void scores_body(const query_t *query, const int8_t *keys, const float *scales, int64_t n,
                        int64_t dim, float *scores) {
    for (int64_t p = 0; p < n; p++)
        scores[p] = query->scale * scales[p] * score_of(query, keys + p * dim, dim);
}

/* Some entries of the values, from one on, of four positions at a time. */
ALWAYS void add_body(const float *shares, const int8_t *values, int64_t n, int64_t dim,
                     int64_t from, float *restrict y) {
    int64_t p = 0;
    for (; p + 4 <= n; p += 4) {
        const int8_t *v = values + p * dim, *w = v + 2 * dim;
        float a = shares[p], b = shares[p + 1], c = shares[p + 2], d = shares[p + 3];
        for (int64_t i = from; i < dim; i++)
            y[i] += (a * (float)v[i] + b * (float)v[dim + i]) +
                    (c * (float)w[i] + d * (float)w[dim + i]);
    }
    for (; p < n; p++)
        for (int64_t i = from; i < dim; i++) y[i] += shares[p] * (float)values[p * dim + i];
}

#ifdef SP_X86

#define AVX2 __attribute__((target("avx2,fma")))

/* Rows lie one behind the other, but what fetches ahead by itself stops at the end of a page. */
static inline void ask(const int8_t *at) { _mm_prefetch((const char *)at, _MM_HINT_T0); }

/* Sums of eight vectors of eight numbers. */
AVX2 static inline __m256i sums_of(const __m256i *a) {
    __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(a[4], a[5]), _mm256_hadd_epi32(a[6], a[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                            _mm256_permute2x128_si256(low, high, 0x31));
}

AVX2 static void scores_avx2(const query_t *query, const int8_t *keys, const float *scales,
                             int64_t n, int64_t dim, float *scores) {
    int64_t p = 0;
    for (; dim % 16 == 0 && p + AT_ONCE <= n; p += AT_ONCE) {
        const int8_t *row = keys + p * dim;
        for (int64_t i = 0; i < AT_ONCE * dim; i += 64) ask(row + AHEAD + i);
        __m256i sums[AT_ONCE];
        for (int r = 0; r < AT_ONCE; r++) sums[r] = _mm256_setzero_si256();
        for (int64_t i = 0; i < dim; i += 16) {
            __m256i q = _mm256_loadu_si256((const __m256i *)(query->entries + i));
            _Pragma("GCC unroll 8") for (int r = 0; r < AT_ONCE; r++) {
                __m128i bytes = _mm_loadu_si128((const __m128i *)(row + r * dim + i));
                __m256i products = _mm256_madd_epi16(q, _mm256_cvtepi8_epi16(bytes));
                sums[r] = _mm256_add_epi32(sums[r], products);
            }
        }
        __m256 scale = _mm256_mul_ps(_mm256_set1_ps(query->scale), _mm256_loadu_ps(scales + p));
        _mm256_storeu_ps(scores + p, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums_of(sums))));
    }
    scores_body(query, keys + p * dim, scales + p, n - p, dim, scores + p);
}

/* Some entries, eight to a vector, stay in registers for all positions. */
#define DEFINE_ADD(NAME, VECTORS)                                                                  \
    AVX2 static void NAME(const float *shares, const int8_t *values, int64_t n, int64_t dim,       \
                          float *y) {                                                              \
        __m256 sums[VECTORS];                                                                      \
        for (int q = 0; q < VECTORS; q++) sums[q] = _mm256_setzero_ps();                           \
        for (int64_t p = 0; p < n; p++) {                                                          \
            const int8_t *row = values + p * dim;                                                  \
            ask(row + AHEAD);                                                                      \
            __m256 share = _mm256_set1_ps(shares[p]);                                              \
            _Pragma("GCC unroll 8") for (int q = 0; q < VECTORS; q++) {                            \
                __m128i bytes = _mm_loadl_epi64((const __m128i *)(row + 8 * q));                   \
                __m256 entries = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));                  \
                sums[q] = _mm256_fmadd_ps(share, entries, sums[q]);                                \
            }                                                                                      \
        }                                                                                          \
        for (int q = 0; q < VECTORS; q++) _mm256_storeu_ps(y + 8 * q, sums[q]);                    \
    }

DEFINE_ADD(add_64, 8)
DEFINE_ADD(add_32, 4)

AVX2 static void add_avx2(const float *shares, const int8_t *values, int64_t n, int64_t dim,
                          float *y) {
    int64_t from = 0;
    for (; from + 64 <= dim; from += 64) add_64(shares, values + from, n, dim, y + from);
    for (; from + 32 <= dim; from += 32) add_32(shares, values + from, n, dim, y + from);
    if (from < dim) add_body(shares, values, n, dim, from, y);
}

#endif

/* Scores of positions; the query is not rounded where it is too wide. */
static void scores_of(const float *q, sp_past keys, int64_t first, int64_t n, int64_t dim,
                      float *scores, int level) {
    const int8_t *rows = (const int8_t *)keys.rows + first * dim;
    const float *scales = keys.scales + first;
    if (dim > WIDEST) {
        for (int64_t p = 0; p < n; p++) {
            float sum = 0;
            for (int64_t i = 0; i < dim; i++) sum += q[i] * (float)rows[p * dim + i];
            scores[p] = scales[p] * sum;
        }
        return;
    }
    query_t query;
    float top = largest(q, dim), unit = unit_of(top, 32767.0f);
    query.scale = top / 32767.0f;
    for (int64_t i = 0; i < dim; i++) query.entries[i] = (int16_t)nearest(q[i], unit);
#ifdef SP_X86
    if (level >= SP_AVX2) {
        scores_avx2(&query, rows, scales, n, dim, scores);
        return;
    }
#endif
    (void)level;
    scores_body(&query, rows, scales, n, dim, scores);
}

void sp_attend_bytes(const float *q, sp_past keys, sp_past values, int64_t first, int64_t n,
                     int64_t dim, float *scores, float *y, int level) {
    scores_of(q, keys, first, n, dim, scores, level);
    float share = 1.0f / sp_softmax(scores, n, 1.0f / sqrtf((float)dim), level);
    for (int64_t p = 0; p < n; p++) scores[p] *= share * values.scales[first + p];
    memset(y, 0, (size_t)dim * sizeof(float));
    const int8_t *rows = (const int8_t *)values.rows + first * dim;
#ifdef SP_X86
    if (level >= SP_AVX2) {
        add_avx2(scores, rows, n, dim, y);
        return;
    }
#endif
    add_body(scores, rows, n, dim, 0, y);
}
