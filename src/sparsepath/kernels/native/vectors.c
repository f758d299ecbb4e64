/* Norm, attention of one head and the gated activation: parts of a block that read whole vectors,
 * in plain C that is compiled once for each instruction set.
 */

#include <math.h>
#include <string.h>

#include "native.h"
#include "weight.h"

#define LANES 16
#define AHEAD 1024 /* entries that are asked for before they are needed */
#define AT_ONCE 4 /* positions whose keys or values are read together */

/* Bring numbers to where `exponential` is right. In a loop of its own: beside it, compilers make
 * branches of the limits. */
ALWAYS void limit(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float high = x[i] < -87.0f ? -87.0f : x[i];
        x[i] = high > 88.0f ? 88.0f : high; /* what is no number stays none */
    }
}

/* e^x for x between -87 and 88, to 2e-7 of itself: 2^n times a polynomial of what is left of x,
 * without a branch, so that compilers take many at once. */
ALWAYS float exponential(float x) {
    float rounded = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the last bits are the integer */
    float n = rounded - 12582912.0f;
    float rest = x - n * 0.693359375f;
    rest -= n * -2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* Add lanes in pairs, so that no addition waits for the one before. */
ALWAYS float total_of(const float *lanes) {
    float eight[8], four[4];
    for (int l = 0; l < 8; l++) eight[l] = lanes[l] + lanes[l + 8];
    for (int l = 0; l < 4; l++) four[l] = eight[l] + eight[l + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

ALWAYS float dot(const float *a, const float *b, int64_t n) {
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lanes[l] += a[i + l] * b[i + l];
    float sum = 0;
    for (; i < n; i++) sum += a[i] * b[i];
    return sum + total_of(lanes);
}

ALWAYS void norm_body(const float *x, const float *weight, int64_t n, double eps, float *y) {
    float scale = (float)(1.0 / sqrt((double)dot(x, x, n) / (double)n + eps));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * weight[i];
}

/* Scores of positions, times a scale, become e^(score - the highest); their sum is given. */
ALWAYS float softmax_body(float *scores, int64_t n, float scale) {
    float top = -INFINITY, lanes[LANES] = {0}, rest = 0;
    for (int64_t p = 0; p < n; p++) scores[p] *= scale;
    for (int64_t p = 0; p < n; p++) top = scores[p] > top ? scores[p] : top;
    for (int64_t p = 0; p < n; p++) scores[p] -= top;
    limit(scores, n);
    for (int64_t p = 0; p < n; p++) scores[p] = exponential(scores[p]);
    int64_t p = 0;
    for (; p + LANES <= n; p += LANES)
        for (int l = 0; l < LANES; l++) lanes[l] += scores[p + l];
    for (; p < n; p++) rest += scores[p];
    return rest + total_of(lanes);
}

/* Ask for what lies some way behind n entries: what fetches ahead by itself stops at the end of a
 * page. */
ALWAYS void ask(const float *at, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) __builtin_prefetch(at + AHEAD + i);
}

ALWAYS void attend_body(const float *restrict q, const float *restrict keys,
                        const float *restrict values, int64_t n, int64_t dim,
                        float *restrict scores, float *restrict y) {
    for (int64_t p = 0; p < n; p++) {
        ask(keys + p * dim, dim);
        scores[p] = dot(q, keys + p * dim, dim);
    }
    float share = 1.0f / softmax_body(scores, n, 1.0f / sqrtf((float)dim));
    memset(y, 0, (size_t)dim * sizeof(float));
    int64_t p = 0;
    for (; p + AT_ONCE <= n; p += AT_ONCE) {
        const float *v = values + p * dim;
        ask(v, AT_ONCE * dim);
        float a = scores[p] * share, b = scores[p + 1] * share;
        float c = scores[p + 2] * share, d = scores[p + 3] * share;
        for (int64_t i = 0; i < dim; i++)
            y[i] += (a * v[i] + b * v[dim + i]) + (c * v[2 * dim + i] + d * v[3 * dim + i]);
    }
    for (; p < n; p++)
        for (int64_t i = 0; i < dim; i++) y[i] += scores[p] * share * values[p * dim + i];
}

ALWAYS void gate_body(const float *restrict gate, const float *restrict up, int64_t n,
                      float *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = -gate[i];
    limit(y, n);
    for (int64_t i = 0; i < n; i++) y[i] = gate[i] / (1.0f + exponential(y[i])) * up[i];
}

#define DEFINE(SUFFIX, TARGET)                                                                     \
    TARGET static void norm_##SUFFIX(const float *x, const float *weight, int64_t n, double eps,   \
                                     float *y) {                                                   \
        norm_body(x, weight, n, eps, y);                                                           \
    }                                                                                              \
    TARGET static float softmax_##SUFFIX(float *scores, int64_t n, float scale) {                  \
        return softmax_body(scores, n, scale);                                                     \
    }                                                                                              \
    TARGET static void attend_##SUFFIX(const float *q, const float *keys, const float *values,     \
                                       int64_t n, int64_t dim, float *scores, float *y) {          \
        attend_body(q, keys, values, n, dim, scores, y);                                           \
    }                                                                                              \
    TARGET static void gate_##SUFFIX(const float *gate, const float *up, int64_t n, float *y) {    \
        gate_body(gate, up, n, y);                                                                 \
    }

DEFINE(plain, )

#ifdef SP_X86
DEFINE(avx2, __attribute__((target("avx2,fma"))))
DEFINE(avx512, __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512"))))
#define CALL(NAME, LEVEL, ...)                                                                     \
    ((LEVEL) == SP_AVX512 ? NAME##_avx512                                                          \
                          : (LEVEL) == SP_AVX2 ? NAME##_avx2 : NAME##_plain)(__VA_ARGS__)
#else
#define CALL(NAME, LEVEL, ...) ((void)(LEVEL), NAME##_plain(__VA_ARGS__))
#endif

void sp_norm(const float *x, const float *weight, int64_t n, double eps, float *y, int level) {
    CALL(norm, level, x, weight, n, eps, y);
}

float sp_softmax(float *scores, int64_t n, float scale, int level) {
    return CALL(softmax, level, scores, n, scale);
}

void sp_attend(const float *q, sp_past keys, sp_past values, int64_t first, int64_t n, int64_t dim,
               float *scores, float *y, int level) {
    if (keys.scales) {
        sp_attend_bytes(q, keys, values, first, n, dim, scores, y, level);
        return;
    }
    const float *key = (const float *)keys.rows + first * dim;
    const float *value = (const float *)values.rows + first * dim;
    CALL(attend, level, q, key, value, n, dim, scores, y);
}

void sp_gate(const float *gate, const float *up, int64_t n, float *y, int level) {
    CALL(gate, level, gate, up, n, y);
}
