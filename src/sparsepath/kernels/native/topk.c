/* Exact row-wise top-k of fp32: the k largest entries of each row, at ascending indices.
 *
 * Order: NaN above everything, -0 equal to +0, ties to the lowest index (as reference.py).
 *
 * Every entry that is not below a guessed threshold is collected, and the exact threshold is found
 * among these few alone. The guess is the one that would have suited the rows before; where that
 * fails, it comes from mean and deviation (mean + z * deviation, z for the share k / d of a normal
 * distribution) and is moved along the logarithm of the count of entries above it. Rows that no
 * guess fits, or that hold infinity or NaN where a guess must be made, take a selection by exchange,
 * which is always exact.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define MAX_GUESSES 10
#define MAX_STEPS 24
#define REST 16 /* rows that are not guessed from those before, after such a guess failed */
#define PAD 16  /* entries beyond the end that whole vectors may write */

typedef struct {
    int64_t d, k;
    int64_t slack;   /* entries beyond k that a guess is aimed at */
    int64_t most;    /* candidates beyond which a guess was too low */
    float z;         /* quantile of the normal distribution for k + slack of d entries */
    float hazard;    /* its density over its tail there: how fast the logarithm of a count falls */
    float guess;     /* what would have suited the rows before */
    float deviation; /* of the last row where it was computed */
    int rest;        /* rows until the guess is tried again */
    float *values;   /* scratch: candidates, d + PAD */
    int32_t *places;
    int32_t *keys; /* scratch: d ordered integers for rows that no guess fits */
} plan_t;

/* ---------- what all instruction sets share ---------- */

/* Integers in the order of the floats: NaN on top, -0 like +0. */
static inline int32_t key_of(float x) {
    int32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, 4);
    if (x != x) return INT32_MAX;
    return bits ^ ((bits >> 31) & INT32_MAX);
}

/* The k-th largest of n keys; they are exchanged. */
static int32_t select_key(int32_t *keys, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1, wanted = k - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int32_t a = keys[low], b = keys[middle], c = keys[high];
        int32_t pivot = a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b));
        int64_t i = low, j = high;
        while (i <= j) {
            while (keys[i] > pivot) i++;
            while (keys[j] < pivot) j--;
            if (i <= j) {
                int32_t swapped = keys[i];
                keys[i++] = keys[j];
                keys[j--] = swapped;
            }
        }
        if (wanted <= j) high = j;
        else if (wanted >= i) low = i;
        else return keys[wanted];
    }
    return keys[wanted];
}

/* Keep what lies above the threshold and as many ties as are still wanted, lowest index first. */
static void keep_exact(const float *x, const int32_t *places, int64_t n, int64_t k,
                       int32_t threshold, float *values, int32_t *indices) {
    int64_t above = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) above += key_of(x[i]) > threshold;
    int64_t ties = k - above;
    for (int64_t i = 0; i < n && kept < k; i++) {
        int32_t key = key_of(x[i]);
        if (key > threshold || (key == threshold && ties-- > 0)) {
            values[kept] = x[i];
            indices[kept++] = places ? places[i] : (int32_t)i;
        }
    }
}

static void by_selection(const float *x, const plan_t *plan, float *values, int32_t *indices) {
    for (int64_t i = 0; i < plan->d; i++) plan->keys[i] = key_of(x[i]);
    int32_t threshold = select_key(plan->keys, plan->d, plan->k);
    keep_exact(x, NULL, plan->d, plan->k, threshold, values, indices);
}

/* Move a guess: along the logarithm of the count while one side is open, else between the sides. */
static inline float next_guess(const plan_t *plan, float guess, int64_t count, float low,
                               float high) {
    float wanted = (float)(plan->k + plan->slack), deviation = plan->deviation;
    float seen = count > 0 ? (float)count : 0.5f;
    float moved = guess + (logf(seen) - logf(wanted)) / plan->hazard * deviation;
    if (moved > low && moved < high) return moved;
    if (low > -INFINITY && high < INFINITY) return low + 0.5f * (high - low);
    return guess + (count > (int64_t)wanted ? deviation : -deviation);
}

/* One row. STATS, COUNT, COLLECT and COMPACT differ by instruction set; the rest is the same.
 * COUNT and COLLECT take what is not below a threshold, so NaN too. */
#define DEFINE_ROW(NAME, TARGET, STATS, COUNT, COLLECT, COMPACT)                                   \
    /* Collect candidates, at least k of them; 0: no guess fits. */                                \
    TARGET static int64_t NAME##_candidates(const float *x, plan_t *plan, float *at) {             \
        if (plan->rest == 0) {                                                                     \
            int64_t count = COLLECT(x, plan->d, *at = plan->guess, plan->values, plan->places);    \
            if (count >= plan->k && count <= plan->most) return count;                             \
            plan->rest = REST;                                                                     \
        }                                                                                          \
        plan->rest--;                                                                              \
        float sum, squares, low = -INFINITY, high = INFINITY;                                      \
        STATS(x, plan->d, &sum, &squares);                                                         \
        float mean = sum / (float)plan->d;                                                         \
        float variance = squares / (float)plan->d - mean * mean;                                   \
        /* Also false where there is NaN or infinity. */                                           \
        if (!(squares < INFINITY) || !(variance > 0)) {                                            \
            plan->rest += plan->rest == 0;                                                         \
            return 0;                                                                              \
        }                                                                                          \
        plan->deviation = sqrtf(variance);                                                         \
        float guess = mean + plan->z * plan->deviation;                                            \
        int64_t count = COLLECT(x, plan->d, guess, plan->values, plan->places);                    \
        if (count < plan->k || count > plan->most) {                                               \
            int guesses = 1;                                                                       \
            while (count < plan->k || count > plan->most) {                                        \
                if (++guesses > MAX_GUESSES) return 0;                                             \
                if (count < plan->k) high = guess;                                                 \
                else low = guess;                                                                  \
                guess = next_guess(plan, guess, count, low, high);                                 \
                count = COUNT(x, plan->d, guess);                                                  \
            }                                                                                      \
            COLLECT(x, plan->d, guess, plan->values, plan->places);                                \
        }                                                                                          \
        *at = plan->guess = guess;                                                                 \
        return count;                                                                              \
    }                                                                                              \
    TARGET static void NAME(const float *x, plan_t *plan, float *values, int32_t *indices) {       \
        float low = 0;                                                                             \
        int64_t count = NAME##_candidates(x, plan, &low);                                          \
        if (count == 0) {                                                                          \
            by_selection(x, plan, values, indices);                                                \
            return;                                                                                \
        }                                                                                          \
        float many = logf((float)count);                                                           \
        float step = plan->deviation / plan->hazard;                                               \
        plan->guess += 0.125f * (many - logf((float)(plan->k + plan->slack))) * step;              \
        if (count == plan->k) {                                                                    \
            memcpy(values, plan->values, (size_t)count * sizeof(float));                           \
            memcpy(indices, plan->places, (size_t)count * sizeof(int32_t));                        \
            return;                                                                                \
        }                                                                                          \
        /* Between the guess and the largest candidate lies the exact threshold: first where the   \
         * tail of a normal distribution puts it, then between the sides by their counts. */       \
        float high = INFINITY, wanted = (float)plan->k;                                            \
        float above_low = (float)count, above_high = 0;                                            \
        float middle = low + (many - logf(wanted)) * step;                                         \
        for (int turn = 0; turn < MAX_STEPS; turn++) {                                             \
            if (!(middle > low && middle < high)) break;                                           \
            int64_t above = COUNT(plan->values, count, middle);                                    \
            if (above == plan->k) {                                                                \
                COMPACT(plan->values, plan->places, count, middle, values, indices, plan->k);      \
                return;                                                                            \
            }                                                                                      \
            if (above > plan->k) low = middle, above_low = (float)above;                           \
            else high = middle, above_high = (float)above;                                         \
            if (high < INFINITY) {                                                                 \
                float part = (above_low - wanted) / (above_low - above_high);                      \
                middle = low + (high - low) * (turn % 3 == 2 ? 0.5f : part);                       \
            } else                                                                                 \
                middle = low + 2 * (logf(above_low) - logf(wanted)) * step;                        \
        }                                                                                          \
        /* Ties at the threshold, NaN, infinity: the lowest indices are kept. */                   \
        for (int64_t i = 0; i < count; i++) plan->keys[i] = key_of(plan->values[i]);               \
        int32_t threshold = select_key(plan->keys, count, plan->k);                                \
        keep_exact(plan->values, plan->places, count, plan->k, threshold, values, indices);        \
    }

/* ---------- plain C ---------- */

static inline void stats_plain(const float *x, int64_t d, float *sum, float *squares) {
    float a[8] = {0}, b[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= d; i += 8)
        for (int lane = 0; lane < 8; lane++) {
            a[lane] += x[i + lane];
            b[lane] += x[i + lane] * x[i + lane];
        }
    for (; i < d; i++) {
        a[0] += x[i];
        b[0] += x[i] * x[i];
    }
    *sum = *squares = 0;
    for (int lane = 0; lane < 8; lane++) {
        *sum += a[lane];
        *squares += b[lane];
    }
}

static inline int64_t count_plain(const float *x, int64_t d, float t) {
    int32_t found = 0;
    for (int64_t i = 0; i < d; i++) found += !(x[i] < t);
    return found;
}

static inline int64_t collect_plain(const float *x, int64_t d, float t, float *values,
                                    int32_t *places) {
    int64_t kept = 0;
    for (int64_t i = 0; i < d; i++) {
        values[kept] = x[i];
        places[kept] = (int32_t)i;
        kept += !(x[i] < t);
    }
    return kept;
}

static inline void compact_plain(const float *x, const int32_t *places, int64_t d, float t,
                                 float *values, int32_t *indices, int64_t n) {
    int64_t kept = 0;
    for (int64_t i = 0; i < d && kept < n; i++) {
        values[kept] = x[i];
        indices[kept] = places ? places[i] : (int32_t)i;
        kept += !(x[i] < t);
    }
}

DEFINE_ROW(row_plain, , stats_plain, count_plain, collect_plain, compact_plain)

#ifdef SP_X86

/* ---------- AVX2 ---------- */

#define AVX2 __attribute__((target("avx2,fma,popcnt")))

static uint64_t packed_lanes[256]; /* for each mask of 8 lanes, its lanes in order, a byte each */

static void fill_tables(void) {
    for (int mask = 0; mask < 256; mask++) {
        uint64_t lanes = 0;
        int n = 0;
        for (int lane = 0; lane < 8; lane++)
            if (mask >> lane & 1) lanes |= (uint64_t)lane << (8 * n++);
        packed_lanes[mask] = lanes;
    }
}

AVX2 static inline float add_lanes(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

AVX2 static inline void stats_avx2(const float *x, int64_t d, float *sum, float *squares) {
    __m256 a0 = _mm256_setzero_ps(), a1 = a0, b0 = a0, b1 = a0, a2 = a0, a3 = a0, b2 = a0, b3 = a0;
    int64_t i = 0;
    for (; i + 32 <= d; i += 32) {
        __m256 v0 = _mm256_loadu_ps(x + i), v1 = _mm256_loadu_ps(x + i + 8);
        __m256 v2 = _mm256_loadu_ps(x + i + 16), v3 = _mm256_loadu_ps(x + i + 24);
        a0 = _mm256_add_ps(a0, v0);
        a1 = _mm256_add_ps(a1, v1);
        a2 = _mm256_add_ps(a2, v2);
        a3 = _mm256_add_ps(a3, v3);
        b0 = _mm256_fmadd_ps(v0, v0, b0);
        b1 = _mm256_fmadd_ps(v1, v1, b1);
        b2 = _mm256_fmadd_ps(v2, v2, b2);
        b3 = _mm256_fmadd_ps(v3, v3, b3);
    }
    float s = add_lanes(_mm256_add_ps(_mm256_add_ps(a0, a1), _mm256_add_ps(a2, a3)));
    float q = add_lanes(_mm256_add_ps(_mm256_add_ps(b0, b1), _mm256_add_ps(b2, b3)));
    for (; i < d; i++) {
        s += x[i];
        q += x[i] * x[i];
    }
    *sum = s;
    *squares = q;
}

AVX2 static inline int64_t count_avx2(const float *x, int64_t d, float t) {
    __m256 level = _mm256_set1_ps(t);
    __m256i c0 = _mm256_setzero_si256(), c1 = c0, c2 = c0, c3 = c0;
    int64_t i = 0;
    for (; i + 32 <= d; i += 32) {
        /* A comparison that holds is -1. */
        c0 = _mm256_sub_epi32(c0, _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + i), level, _CMP_NLT_UQ)));
        c1 = _mm256_sub_epi32(c1, _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + i + 8), level, _CMP_NLT_UQ)));
        c2 = _mm256_sub_epi32(c2, _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + i + 16), level, _CMP_NLT_UQ)));
        c3 = _mm256_sub_epi32(c3, _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + i + 24), level, _CMP_NLT_UQ)));
    }
    for (; i + 8 <= d; i += 8)
        c0 = _mm256_sub_epi32(c0, _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + i), level, _CMP_NLT_UQ)));
    c0 = _mm256_add_epi32(_mm256_add_epi32(c0, c1), _mm256_add_epi32(c2, c3));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(c0), _mm256_extracti128_si256(c0, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    int64_t found = _mm_cvtsi128_si32(s);
    for (; i < d; i++) found += !(x[i] < t);
    return found;
}

/* Whole vectors are written while there is room; the last entries one by one. */
AVX2 static inline void compact_avx2(const float *x, const int32_t *places, int64_t d, float t,
                                     float *values, int32_t *indices, int64_t n) {
    __m256 level = _mm256_set1_ps(t);
    __m256i own = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), eight = _mm256_set1_epi32(8);
    int64_t i = 0, kept = 0;
    for (; i + 8 <= d && kept + 8 <= n; i += 8, own = _mm256_add_epi32(own, eight)) {
        __m256 v = _mm256_loadu_ps(x + i);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, level, _CMP_NLT_UQ));
        if (!mask) continue;
        __m256i lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)packed_lanes[mask]));
        __m256i from = places ? _mm256_loadu_si256((const __m256i *)(places + i)) : own;
        _mm256_storeu_ps(values + kept, _mm256_permutevar8x32_ps(v, lanes));
        _mm256_storeu_si256((__m256i *)(indices + kept), _mm256_permutevar8x32_epi32(from, lanes));
        kept += __builtin_popcount(mask);
    }
    for (; kept < n; i++)
        if (!(x[i] < t)) {
            values[kept] = x[i];
            indices[kept++] = places ? places[i] : (int32_t)i;
        }
}

/* Without a branch, which half of the vectors would take by surprise. */
AVX2 static inline int64_t collect_avx2(const float *x, int64_t d, float t, float *values,
                                        int32_t *places) {
    __m256 level = _mm256_set1_ps(t);
    __m256i own = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), eight = _mm256_set1_epi32(8);
    int64_t i = 0, kept = 0;
    for (; i + 8 <= d; i += 8, own = _mm256_add_epi32(own, eight)) {
        __m256 v = _mm256_loadu_ps(x + i);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, level, _CMP_NLT_UQ));
        __m256i lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)packed_lanes[mask]));
        _mm256_storeu_ps(values + kept, _mm256_permutevar8x32_ps(v, lanes));
        _mm256_storeu_si256((__m256i *)(places + kept), _mm256_permutevar8x32_epi32(own, lanes));
        kept += __builtin_popcount(mask);
    }
    for (; i < d; i++) {
        values[kept] = x[i];
        places[kept] = (int32_t)i;
        kept += !(x[i] < t);
    }
    return kept;
}

DEFINE_ROW(row_avx2, AVX2, stats_avx2, count_avx2, collect_avx2, compact_avx2)

/* ---------- AVX-512 ---------- */

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,popcnt,fma")))

AVX512 static inline void stats_avx512(const float *x, int64_t d, float *sum, float *squares) {
    __m512 a0 = _mm512_setzero_ps(), a1 = a0, b0 = a0, b1 = a0;
    int64_t i = 0;
    for (; i + 32 <= d; i += 32) {
        __m512 v0 = _mm512_loadu_ps(x + i), v1 = _mm512_loadu_ps(x + i + 16);
        a0 = _mm512_add_ps(a0, v0);
        a1 = _mm512_add_ps(a1, v1);
        b0 = _mm512_fmadd_ps(v0, v0, b0);
        b1 = _mm512_fmadd_ps(v1, v1, b1);
    }
    for (; i < d; i += 16) {
        __mmask16 in = d - i >= 16 ? 0xffff : (__mmask16)((1u << (d - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(in, x + i);
        a0 = _mm512_add_ps(a0, v);
        b0 = _mm512_fmadd_ps(v, v, b0);
    }
    *sum = _mm512_reduce_add_ps(_mm512_add_ps(a0, a1));
    *squares = _mm512_reduce_add_ps(_mm512_add_ps(b0, b1));
}

AVX512 static inline int64_t count_avx512(const float *x, int64_t d, float t) {
    __m512 level = _mm512_set1_ps(t);
    int64_t i = 0, found = 0;
    for (; i + 64 <= d; i += 64) {
        uint64_t m0 = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i), level, _CMP_NLT_UQ);
        uint64_t m1 = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 16), level, _CMP_NLT_UQ);
        uint64_t m2 = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 32), level, _CMP_NLT_UQ);
        uint64_t m3 = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 48), level, _CMP_NLT_UQ);
        found += __builtin_popcountll(m0 | m1 << 16 | m2 << 32 | m3 << 48);
    }
    for (; i < d; i += 16) {
        __mmask16 in = d - i >= 16 ? 0xffff : (__mmask16)((1u << (d - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(in, x + i);
        found += __builtin_popcount(_mm512_mask_cmp_ps_mask(in, v, level, _CMP_NLT_UQ));
    }
    return found;
}

AVX512 static inline void compact_avx512(const float *x, const int32_t *places, int64_t d, float t,
                                         float *values, int32_t *indices, int64_t n) {
    (void)n;
    __m512 level = _mm512_set1_ps(t);
    __m512i own = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i sixteen = _mm512_set1_epi32(16);
    int64_t kept = 0;
    for (int64_t i = 0; i < d; i += 16, own = _mm512_add_epi32(own, sixteen)) {
        __mmask16 in = d - i >= 16 ? 0xffff : (__mmask16)((1u << (d - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(in, x + i);
        __mmask16 mask = _mm512_mask_cmp_ps_mask(in, v, level, _CMP_NLT_UQ);
        if (!mask) continue;
        __m512i from = places ? _mm512_maskz_loadu_epi32(in, places + i) : own;
        int found = __builtin_popcount(mask);
        /* Packing in a register and a masked store: compressing into memory is slow on Zen. */
        __mmask16 first = (__mmask16)((1u << found) - 1);
        _mm512_mask_storeu_ps(values + kept, first, _mm512_maskz_compress_ps(mask, v));
        _mm512_mask_storeu_epi32(indices + kept, first, _mm512_maskz_compress_epi32(mask, from));
        kept += found;
    }
}

AVX512 static inline int64_t collect_avx512(const float *x, int64_t d, float t, float *values,
                                            int32_t *places) {
    __m512 level = _mm512_set1_ps(t);
    __m512i own = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i sixteen = _mm512_set1_epi32(16);
    int64_t kept = 0;
    for (int64_t i = 0; i < d; i += 16, own = _mm512_add_epi32(own, sixteen)) {
        __mmask16 in = d - i >= 16 ? 0xffff : (__mmask16)((1u << (d - i)) - 1);
        __m512 v = _mm512_maskz_loadu_ps(in, x + i);
        __mmask16 mask = _mm512_mask_cmp_ps_mask(in, v, level, _CMP_NLT_UQ);
        _mm512_storeu_ps(values + kept, _mm512_maskz_compress_ps(mask, v));
        _mm512_storeu_si512(places + kept, _mm512_maskz_compress_epi32(mask, own));
        kept += __builtin_popcount(mask);
    }
    return kept;
}

DEFINE_ROW(row_avx512, AVX512, stats_avx512, count_avx512, collect_avx512, compact_avx512)

#endif

#ifdef SP_ARM

/* ---------- NEON ---------- */

static uint8_t packed_bytes[16][16]; /* for each mask of 4 lanes, the bytes of its lanes in order */

static void fill_tables(void) {
    for (int mask = 0; mask < 16; mask++) {
        int n = 0;
        for (int lane = 0; lane < 4; lane++)
            for (int byte = 0; byte < 4 && mask >> lane & 1; byte++)
                packed_bytes[mask][n++] = (uint8_t)(4 * lane + byte);
    }
}

static inline void stats_neon(const float *x, int64_t d, float *sum, float *squares) {
    float32x4_t a[4], b[4];
    for (int q = 0; q < 4; q++) a[q] = b[q] = vdupq_n_f32(0);
    int64_t i = 0;
    for (; i + 16 <= d; i += 16)
        for (int q = 0; q < 4; q++) {
            float32x4_t v = vld1q_f32(x + i + 4 * q);
            a[q] = vaddq_f32(a[q], v);
            b[q] = vfmaq_f32(b[q], v, v);
        }
    float s = vaddvq_f32(vaddq_f32(vaddq_f32(a[0], a[1]), vaddq_f32(a[2], a[3])));
    float t = vaddvq_f32(vaddq_f32(vaddq_f32(b[0], b[1]), vaddq_f32(b[2], b[3])));
    for (; i < d; i++) {
        s += x[i];
        t += x[i] * x[i];
    }
    *sum = s;
    *squares = t;
}

static inline int64_t count_neon(const float *x, int64_t d, float t) {
    float32x4_t level = vdupq_n_f32(t);
    uint32x4_t c[4];
    for (int q = 0; q < 4; q++) c[q] = vdupq_n_u32(0);
    int64_t i = 0;
    for (; i + 16 <= d; i += 16)
        /* A comparison that holds is -1. */
        for (int q = 0; q < 4; q++)
            c[q] = vaddq_u32(c[q], vcltq_f32(vld1q_f32(x + i + 4 * q), level));
    /* What lies below is counted, so that NaN does not. */
    int64_t found = i + (int32_t)vaddvq_u32(vaddq_u32(vaddq_u32(c[0], c[1]), vaddq_u32(c[2], c[3])));
    for (; i < d; i++) found += !(x[i] < t);
    return found;
}

/* Whole vectors are written while there is room; the last entries one by one. */
static inline void compact_neon(const float *x, const int32_t *places, int64_t d, float t,
                                float *values, int32_t *indices, int64_t n) {
    static const uint32_t bit_of[4] = {1, 2, 4, 8};
    static const int32_t first_four[4] = {0, 1, 2, 3};
    const uint32x4_t bits = vld1q_u32(bit_of);
    const float32x4_t level = vdupq_n_f32(t);
    int32x4_t own = vld1q_s32(first_four);
    int64_t i = 0, kept = 0;
    for (; i + 4 <= d && kept + 4 <= n; i += 4, own = vaddq_s32(own, vdupq_n_s32(4))) {
        float32x4_t v = vld1q_f32(x + i);
        unsigned mask = vaddvq_u32(vbicq_u32(bits, vcltq_f32(v, level)));
        if (!mask) continue;
        uint8x16_t lanes = vld1q_u8(packed_bytes[mask]);
        int32x4_t from = places ? vld1q_s32(places + i) : own;
        vst1q_u8((uint8_t *)(values + kept), vqtbl1q_u8(vreinterpretq_u8_f32(v), lanes));
        vst1q_u8((uint8_t *)(indices + kept), vqtbl1q_u8(vreinterpretq_u8_s32(from), lanes));
        kept += __builtin_popcount(mask);
    }
    for (; kept < n; i++)
        if (!(x[i] < t)) {
            values[kept] = x[i];
            indices[kept++] = places ? places[i] : (int32_t)i;
        }
}

static inline int64_t collect_neon(const float *x, int64_t d, float t, float *values,
                                   int32_t *places) {
    static const uint32_t bit_of[4] = {1, 2, 4, 8};
    static const int32_t first_four[4] = {0, 1, 2, 3};
    const uint32x4_t bits = vld1q_u32(bit_of);
    const float32x4_t level = vdupq_n_f32(t);
    int32x4_t own = vld1q_s32(first_four);
    int64_t i = 0, kept = 0;
    for (; i + 4 <= d; i += 4, own = vaddq_s32(own, vdupq_n_s32(4))) {
        float32x4_t v = vld1q_f32(x + i);
        unsigned mask = vaddvq_u32(vbicq_u32(bits, vcltq_f32(v, level)));
        uint8x16_t lanes = vld1q_u8(packed_bytes[mask]);
        vst1q_u8((uint8_t *)(values + kept), vqtbl1q_u8(vreinterpretq_u8_f32(v), lanes));
        vst1q_u8((uint8_t *)(places + kept), vqtbl1q_u8(vreinterpretq_u8_s32(own), lanes));
        kept += __builtin_popcount(mask);
    }
    for (; i < d; i++) {
        values[kept] = x[i];
        places[kept] = (int32_t)i;
        kept += !(x[i] < t);
    }
    return kept;
}

DEFINE_ROW(row_neon, , stats_neon, count_neon, collect_neon, compact_neon)

#endif

/* ---------- choice and entry ---------- */

/* Quantile of the normal distribution whose tail is p (Abramowitz and Stegun 26.2.23). */
static double tail_quantile(double p) {
    double q = p < 0.5 ? p : 1 - p, t = sqrt(-2 * log(q));
    double z = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) /
                       (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
    return p < 0.5 ? z : -z;
}

SP_EXPORT int sp_topk_f32(const float *x, int64_t rows, int64_t stride, int64_t d, int64_t k,
                          float *values, int32_t *indices, int level) {
    if (rows < 0 || d < 1 || k < 1 || k > d || d > INT32_MAX) return SP_BAD_ARGUMENT;
    plan_t plan = {.d = d, .k = k, .rest = 1};
    /* Counts scatter by about the root of k, so few guesses of three roots more come out short. */
    plan.slack = 4 + (int64_t)(3 * sqrt((double)k));
    plan.most = k + 6 * plan.slack;
    double share = (double)(k + plan.slack) / (double)d;
    if (share > 0.95) share = 0.95;
    plan.z = (float)tail_quantile(share);
    plan.hazard = (float)(exp(-0.5 * (double)plan.z * (double)plan.z) / 2.5066282746 / share);
    plan.values = malloc((size_t)(d + PAD) * sizeof(float));
    plan.places = malloc((size_t)(d + PAD) * sizeof(int32_t));
    plan.keys = malloc((size_t)d * sizeof(int32_t));
    int status = SP_OK;
    if (!plan.values || !plan.places || !plan.keys) status = SP_NO_MEMORY;
    void (*row)(const float *, plan_t *, float *, int32_t *) = row_plain;
#ifdef SP_X86
    if (level >= SP_AVX512) row = row_avx512;
    else if (level >= SP_AVX2) row = row_avx2;
#endif
#ifdef SP_ARM
    if (level == SP_NEON) row = row_neon;
#endif
    (void)level;
    for (int64_t r = 0; r < rows && status == SP_OK; r++)
        row(x + r * stride, &plan, values + r * k, indices + r * k);
    free(plan.values);
    free(plan.places);
    free(plan.keys);
    return status;
}

#if defined(SP_X86) || defined(SP_ARM)
void sp_fill_topk_tables(void) { fill_tables(); }
#else
void sp_fill_topk_tables(void) {}
#endif
