/* Attention of one head, for the tokens of a block together.
 *
 * Scores and what is read are products, of the queries with the keys turned on their side and of
 * the shares with the values: tiles of them stay in registers, and every key and value is read once
 * for all tokens. Few tokens, and processors without such tiles, take one query after the other.
 */

#include <math.h>
#include <string.h>

#include "native.h"

#define LEAST 4    /* tokens that are worth it */
#define MOST 64    /* tokens of a block */
#define ROWS 64    /* positions whose values are put together */
#define WIDEST 256 /* of a head, for the keys of a tile */

int64_t sp_attend_room(int64_t n, int64_t positions) {
    return n * ((positions + SP_TILE - 1) / SP_TILE + 1) * SP_TILE;
}

static int64_t first_of(int64_t position, int64_t window) {
    return window && position >= window ? position - window + 1 : 0;
}

/* One entry of a row. */
static inline float entry(sp_past past, int64_t position, int64_t at) {
    if (!past.scales) return ((const float *)past.rows)[at];
    return past.scales[position] * (float)((const int8_t *)past.rows)[at];
}

/* Positions of one tile lie beside each other, one row for each entry of the keys. */
static void turn(sp_past keys, int64_t from, int64_t positions, int64_t dim, float *turned) {
    for (int64_t i = 0; i < dim; i++) {
        float *row = turned + i * SP_TILE;
        for (int64_t p = 0; p < positions; p++)
            row[p] = entry(keys, from + p, (from + p) * dim + i);
        for (int64_t p = positions; p < SP_TILE; p++) row[p] = 0.0f;
    }
}

/* Some entries, from one on, of the values of some positions. */
static void collect(sp_past values, int64_t first, int64_t positions, int64_t dim, int64_t from,
                    float *collected) {
    int64_t width = dim - from < SP_TILE ? dim - from : SP_TILE;
    if (width < SP_TILE) memset(collected, 0, (size_t)(positions * SP_TILE) * sizeof(float));
    for (int64_t p = 0; p < positions; p++)
        for (int64_t i = 0; i < width; i++)
            collected[p * SP_TILE + i] =
                entry(values, first + p, (first + p) * dim + from + i);
}

void sp_attend_block(const float *q, int64_t stride, int64_t n, sp_past keys, sp_past values,
                     int64_t position, int64_t window, int64_t dim, float *scores, float *y,
                     int64_t y_stride, int level) {
    int has_tiles = level == SP_AVX2 || level == SP_AVX512;
    if (n < LEAST || n > MOST || dim > WIDEST || !has_tiles) {
        for (int64_t t = 0; t < n; t++) {
            int64_t first = first_of(position + t, window);
            sp_attend(q + t * stride, keys, values, first, position + t + 1 - first, dim, scores,
                      y + t * y_stride, level);
        }
        return;
    }
    float tile[WIDEST * SP_TILE], totals[MOST];
    int64_t base = first_of(position, window), end = position + n;
    int64_t width = (end - base + SP_TILE - 1) / SP_TILE * SP_TILE;
    memset(scores, 0, (size_t)(n * width) * sizeof(float));
    for (int64_t p = base; p < end; p += SP_TILE) {
        turn(keys, p, end - p < SP_TILE ? end - p : SP_TILE, dim, tile);
        sp_add_tile(tile, dim, q, stride, n, scores + p - base, width, SP_TILE, level);
    }
    float scale = 1.0f / sqrtf((float)dim);
    for (int64_t t = 0; t < n; t++) {
        float *row = scores + t * width;
        int64_t from = first_of(position + t, window) - base, to = position + t + 1 - base;
        totals[t] = sp_softmax(row + from, to - from, scale, level);
        memset(row, 0, (size_t)from * sizeof(float));
        memset(row + to, 0, (size_t)(width - to) * sizeof(float));
        memset(y + t * y_stride, 0, (size_t)dim * sizeof(float));
    }
    for (int64_t p = base; p < end; p += ROWS) {
        int64_t positions = end - p < ROWS ? end - p : ROWS;
        for (int64_t from = 0; from < dim; from += SP_TILE) {
            collect(values, p, positions, dim, from, tile);
            sp_add_tile(tile, positions, scores + p - base, width, n, y + from, y_stride, dim - from,
                        level);
        }
    }
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < dim; i++) y[t * y_stride + i] /= totals[t];
}
