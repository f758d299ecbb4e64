/* A Llama-like language model, one call for the next tokens; hidden states may be sparse.
 *
 * Every product reads only the rows of entries that are not zero, so a model whose sites keep k of
 * d entries reads k / d of its weights, and one without sites reads all of them. Layers take a few
 * tokens at a time, so that the rows of a prompt are still in the cache for the next of its tokens.
 *
 * Names of sites as in sparsepath.models.topk_lm.
 */

#include <math.h>
#include <string.h>

#include "native.h"

typedef struct {
    const float *attn_norm, *mlp_norm;
    sp_matrix qkv, out, gate_up, down;
    /* Entries that a site keeps; 0: all. */
    int64_t k_attn_in, k_attn_out, k_mlp_in, k_mlp_hidden, k_block_out;
} sp_layer;

/* An edit of one entry at a site: it becomes factor * x + shift. As in sparsepath.trace.edits. */
typedef struct {
    int64_t index;
    int64_t slot;        /* of the value that must be above; -1: it need not */
    int64_t is_watch;    /* nothing changes: the value is remembered in `slot` */
    int64_t first, stop; /* positions */
    float factor, shift, above;
    const int32_t *after; /* tokens at which it applies */
    int64_t n_after;      /* 0: at all */
} sp_edit;

/* In the order of a block. */
enum { ATTN_IN, ATTN_OUT, MLP_IN, MLP_HIDDEN, BLOCK_OUT, SITES };

typedef struct {
    int64_t n_layers, d_model, n_heads, n_kv_heads, head_dim, d_mlp, vocabulary;
    int64_t window; /* positions that attention looks back; 0: all */
    int64_t by_magnitude; /* a bit for each site */
    int64_t is_positive, n_always_on;
    int64_t capacity; /* positions of the cache */
    int64_t level;
    double eps;
    sp_matrix embedding, head;
    const float *final_norm;
    const float *cosines, *sines; /* [capacity, head_dim / 2] */
    const sp_layer *layers;
    void *keys, *values; /* [layers, kv heads, capacity, head_dim]: fp32, or 8 bits */
    float *key_scales, *value_scales; /* of 8 bits, [layers, kv heads, capacity]; NULL: fp32 */
    float *scratch;
    sp_pool *pool;      /* NULL: one thread */
    int64_t bytes_read; /* of weights, summed over calls */
    const sp_edit *edits;       /* by layer and site, watches first; NULL: none */
    const int64_t *edit_starts; /* [layers * SITES + 1] */
    int64_t n_slots;
    /* What sites keep, after edits: a row for each token of the call, in which each traced site
     * has its own part. */
    const int64_t *trace_starts; /* [layers * SITES]: where its part begins; below 0: it has none;
                                    NULL: nothing is traced */
    int64_t trace_width;         /* of a row */
    int32_t *trace_indices;      /* [tokens, trace_width] */
    float *trace_values;
    int32_t *trace_counts; /* [tokens, layers * SITES] */
} sp_decoder;

enum { BLOCK = 32 }; /* tokens that go through a layer together */
enum { LEAST_ATTENTION = 1 << 15 }; /* products with keys that are worth another thread */

/* Entries of a vector that are not zero. */
typedef struct {
    float *values;
    int32_t *indices;
    int64_t n;
} few_t;

/* ---------- sparse vectors ---------- */

static void push(few_t *few, const float *x, int64_t from, int64_t to, int is_positive) {
    int64_t n = few->n;
    for (int64_t i = from; i < to; i++) {
        few->values[n] = x[i];
        few->indices[n] = (int32_t)i;
        n += x[i] > 0.0f || (!is_positive && x[i] != 0.0f);
    }
    few->n = n;
}

/* The entries that a site keeps, as TopK.forward has them; without a site, all that are not zero.
 * `few` has room for one entry more than x, `sizes` for as many. */
static int keep(const sp_decoder *m, int site, const float *x, int64_t width, int64_t k,
                few_t *few, float *sizes) {
    few->n = 0;
    if (!k) {
        push(few, x, 0, width, 0);
        return SP_OK;
    }
    int64_t on = m->n_always_on, competing = width - on;
    push(few, x, 0, on, 0);
    if (k >= competing) {
        push(few, x, on, width, (int)m->is_positive);
        return SP_OK;
    }
    const float *rest = x + on;
    if (m->by_magnitude >> site & 1) {
        for (int64_t i = 0; i < competing; i++) sizes[i] = fabsf(rest[i]);
        rest = sizes;
    }
    int32_t *found = few->indices + few->n;
    int status = sp_topk_f32(rest, 1, competing, competing, k, few->values + few->n, found,
                             (int)m->level);
    if (status) return status;
    int64_t n = few->n;
    for (int64_t i = 0; i < k; i++) {
        float value = x[on + found[i]];
        few->values[n] = value;
        few->indices[n] = found[i] + (int32_t)on;
        n += value > 0.0f || (!m->is_positive && value != 0.0f);
    }
    few->n = n;
    return SP_OK;
}

static void multiply(sp_decoder *m, const sp_matrix *matrix, const few_t *few, float *y) {
    sp_multiply_shared(m->pool, matrix, few->values, few->indices, few->n, y, (int)m->level);
    m->bytes_read += few->n * (matrix->row_bytes + (matrix->scales ? 4 : 0));
}

/* Entries of inputs that have two rows count for both; there is room for a few more. */
static void double_entries(const sp_matrix *matrix, few_t *few) {
    int64_t n = few->n, first = matrix->n_in - matrix->n_doubled;
    for (int64_t j = 0; j < matrix->n_doubled; j++) {
        int64_t from = 0, to = n;
        while (from < to) {
            int64_t middle = (from + to) / 2;
            if (few->indices[middle] < matrix->doubled[j]) from = middle + 1;
            else to = middle;
        }
        if (from == n || few->indices[from] != matrix->doubled[j]) continue;
        few->values[few->n] = few->values[from];
        few->indices[few->n++] = (int32_t)(first + j);
    }
}

/* Several tokens, each with its own entries, or x written anew where a dense product is faster. */
static void multiply_all(sp_decoder *m, const sp_matrix *matrix, few_t *few, int64_t n, float *x,
                         float *y) {
    int64_t total = 0, width = matrix->n_in;
    for (int64_t t = 0; t < n; t++) double_entries(matrix, few + t);
    for (int64_t t = 0; t < n; t++) total += few[t].n;
    if (!sp_is_dense_faster(matrix, n, total, (int)m->level)) {
        for (int64_t t = 0; t < n; t++) multiply(m, matrix, few + t, y + t * matrix->n_out);
        return;
    }
    memset(x, 0, (size_t)(n * width) * sizeof(float));
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < few[t].n; i++) x[t * width + few[t].indices[i]] = few[t].values[i];
    sp_multiply_dense_shared(m->pool, matrix, x, width, n, y, (int)m->level);
    m->bytes_read += width * (matrix->row_bytes + (matrix->scales ? 4 : 0));
}

/* ---------- a block ---------- */

static void rotate(const float *cosine, const float *sine, int64_t dim, float *x) {
    int64_t half = dim / 2;
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

/* Attention of n tokens, the first at `position`, whose queries, keys and values are in `qkv`. */
typedef struct {
    sp_decoder *m;
    int64_t layer, position, n;
    float *qkv, *y;
    float *scores; /* [parts, room of a head] */
} attention_t;

/* Keys or values of one head. */
static sp_past past_of(const sp_decoder *m, void *rows, float *scales, int64_t head) {
    int64_t from = head * m->capacity;
    sp_past past = {(float *)rows + from * m->head_dim, NULL};
    if (scales) past.rows = (int8_t *)rows + from * m->head_dim, past.scales = scales + from;
    return past;
}

/* The query heads that share a head of keys and values. */
static void attend_group(const attention_t *a, int64_t h, float *scores) {
    sp_decoder *m = a->m;
    int64_t dim = m->head_dim, kv = m->n_kv_heads, group = m->n_heads / kv;
    int64_t stride = (m->n_heads + 2 * kv) * dim;
    sp_past keys = past_of(m, m->keys, m->key_scales, a->layer * kv + h);
    sp_past values = past_of(m, m->values, m->value_scales, a->layer * kv + h);
    for (int64_t t = 0; t < a->n; t++) {
        int64_t position = a->position + t;
        const float *cosine = m->cosines + position * (dim / 2);
        const float *sine = m->sines + position * (dim / 2);
        float *qkv = a->qkv + t * stride, *key = qkv + (m->n_heads + h) * dim;
        rotate(cosine, sine, dim, key);
        sp_put(key, dim, position, keys);
        sp_put(key + kv * dim, dim, position, values);
        for (int64_t q = h * group; q < (h + 1) * group; q++) rotate(cosine, sine, dim, qkv + q * dim);
    }
    for (int64_t q = h * group; q < (h + 1) * group; q++)
        sp_attend_block(a->qkv + q * dim, stride, a->n, keys, values, a->position, m->window, dim,
                        scores, a->y + q * dim, m->n_heads * dim, (int)m->level);
}

/* Some heads of keys and values. */
static void attend_part(void *task, int64_t part, int64_t n) {
    const attention_t *a = task;
    int64_t kv = a->m->n_kv_heads;
    for (int64_t h = kv * part / n; h < kv * (part + 1) / n; h++)
        attend_group(a, h, a->scores + part * sp_attend_room(BLOCK, a->m->capacity));
}

static void attend(sp_decoder *m, int64_t layer, int64_t n, int64_t position, float *qkv,
                   float *scores, float *y) {
    attention_t a = {m, layer, position, n, qkv, y, scores};
    int64_t parts = sp_pool_threads(m->pool), work = n * (position + n) * m->n_heads * m->head_dim;
    if (work < LEAST_ATTENTION) parts = 1;
    sp_share(m->pool, parts < m->n_kv_heads ? parts : m->n_kv_heads, attend_part, &a);
}

typedef struct {
    float *x;      /* [BLOCK, d_model]: the residual stream */
    float *normed; /* [d_model] */
    float *wide;   /* [BLOCK, widest output] */
    float *hidden; /* [BLOCK, widest input] */
    float *scores; /* [threads, room of a head's attention] */
    float *sizes;  /* as wide as the widest site */
    few_t few[BLOCK];
    float *remembered;     /* [slots, BLOCK]: values that edits depend on */
    const int32_t *tokens; /* of this block */
    int64_t position;      /* of its first token */
    int64_t start;         /* of this block in the call */
} room_t;

static int64_t widest(const sp_decoder *m) {
    int64_t heads = m->n_heads * m->head_dim, n = m->d_model;
    n = heads > n ? heads : n;
    return m->d_mlp > n ? m->d_mlp : n;
}

static int64_t widest_output(const sp_decoder *m) {
    int64_t qkv = (m->n_heads + 2 * m->n_kv_heads) * m->head_dim, n = 2 * m->d_mlp;
    n = qkv > n ? qkv : n;
    return m->d_model > n ? m->d_model : n;
}

/* Floats of scratch that a decoder needs. */
SP_EXPORT int64_t sp_decoder_room(const sp_decoder *m) {
    int64_t wide = widest(m) + 16;
    return BLOCK * (m->d_model + widest_output(m) + 3 * wide) + m->d_model + wide +
           sp_pool_threads(m->pool) * sp_attend_room(BLOCK, m->capacity) + BLOCK * m->n_slots;
}

static void find_room(const sp_decoder *m, room_t *r) {
    int64_t wide = widest(m) + 16;
    float *next = m->scratch;
    r->x = next, next += BLOCK * m->d_model;
    r->normed = next, next += m->d_model;
    r->wide = next, next += BLOCK * widest_output(m);
    r->hidden = next, next += BLOCK * wide;
    r->sizes = next, next += wide;
    r->scores = next, next += sp_pool_threads(m->pool) * sp_attend_room(BLOCK, m->capacity);
    r->remembered = next, next += BLOCK * m->n_slots;
    for (int t = 0; t < BLOCK; t++) {
        r->few[t].values = next, next += wide;
        r->few[t].indices = (int32_t *)next, next += wide;
    }
}

/* ---------- edits ---------- */

/* Whether an edit applies to token t of the block, whose entry has this value. */
static int applies(const sp_edit *e, int64_t t, float value, room_t *r) {
    int64_t position = r->position + t;
    if (e->is_watch) {
        r->remembered[e->slot * BLOCK + t] = value;
        return 0;
    }
    if (position < e->first || position >= e->stop) return 0;
    if (e->slot >= 0 && !(r->remembered[e->slot * BLOCK + t] > e->above)) return 0;
    for (int64_t i = 0; i < e->n_after; i++)
        if (r->tokens[t] == e->after[i]) return 1;
    return !e->n_after;
}

/* Entries are ascending, before and after. */
static void edit_entry(const sp_edit *e, int64_t t, few_t *few, room_t *r) {
    int64_t i = 0;
    while (i < few->n && few->indices[i] < e->index) i++;
    int64_t is_there = i < few->n && few->indices[i] == e->index, rest = few->n - i - is_there;
    float value = is_there ? few->values[i] : 0.0f;
    if (!applies(e, t, value, r)) return;
    value = e->factor * value + e->shift;
    int64_t stays = value != 0.0f;
    memmove(few->values + i + stays, few->values + i + is_there, (size_t)rest * sizeof(float));
    memmove(few->indices + i + stays, few->indices + i + is_there, (size_t)rest * sizeof(int32_t));
    if (stays) few->values[i] = value, few->indices[i] = (int32_t)e->index;
    few->n += stays - is_there;
}

static void edit_few(const sp_decoder *m, int64_t layer, int64_t site, int64_t t, room_t *r) {
    if (!m->edits) return;
    const int64_t *start = m->edit_starts + layer * SITES + site;
    for (int64_t e = start[0]; e < start[1]; e++) edit_entry(m->edits + e, t, r->few + t, r);
}

static void edit_stream(const sp_decoder *m, int64_t layer, int64_t n, room_t *r) {
    if (!m->edits) return;
    const int64_t *start = m->edit_starts + layer * SITES + BLOCK_OUT;
    for (int64_t e = start[0]; e < start[1]; e++)
        for (int64_t t = 0; t < n; t++) {
            float *x = r->x + t * m->d_model + m->edits[e].index;
            if (applies(m->edits + e, t, *x, r)) *x = m->edits[e].factor * *x + m->edits[e].shift;
        }
}

/* ---------- traces ---------- */

static int is_traced(const sp_decoder *m, int64_t layer, int64_t site) {
    return m->trace_starts && m->trace_starts[layer * SITES + site] >= 0;
}

static void trace(const sp_decoder *m, int64_t layer, int64_t site, int64_t t, const few_t *few,
                  const room_t *r) {
    if (!is_traced(m, layer, site)) return;
    int64_t token = r->start + t, spot = layer * SITES + site;
    int64_t at = token * m->trace_width + m->trace_starts[spot];
    memcpy(m->trace_indices + at, few->indices, (size_t)few->n * sizeof(int32_t));
    memcpy(m->trace_values + at, few->values, (size_t)few->n * sizeof(float));
    m->trace_counts[token * m->n_layers * SITES + spot] = (int32_t)few->n;
}

static int is_edited(const sp_decoder *m, int64_t layer, int64_t site) {
    if (!m->edits) return 0;
    const int64_t *start = m->edit_starts + layer * SITES + site;
    return start[0] < start[1];
}

/* The residual stream is edited where it lies, so what is left is looked up there. */
static void trace_stream(const sp_decoder *m, int64_t layer, int64_t n, room_t *r) {
    if (!is_traced(m, layer, BLOCK_OUT) || !is_edited(m, layer, BLOCK_OUT)) return;
    for (int64_t t = 0; t < n; t++) {
        r->few->n = 0;
        push(r->few, r->x + t * m->d_model, 0, m->d_model, 0);
        trace(m, layer, BLOCK_OUT, t, r->few, r);
    }
}

/* Edit what a site keeps of a token, and note what is left. */
static void finish(const sp_decoder *m, int64_t layer, int64_t site, int64_t t, room_t *r) {
    edit_few(m, layer, site, t, r);
    trace(m, layer, site, t, r->few + t, r);
}

/* Add what a product gave to the residual stream. */
static void add_all(int64_t n, const float *y, float *x) {
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

static int run_attention(sp_decoder *m, int64_t number, int64_t n, int64_t position, room_t *r) {
    const sp_layer *layer = m->layers + number;
    int64_t d = m->d_model, heads = m->n_heads * m->head_dim;
    int status;
    for (int64_t t = 0; t < n; t++) {
        sp_norm(r->x + t * d, layer->attn_norm, d, m->eps, r->normed, (int)m->level);
        if ((status = keep(m, ATTN_IN, r->normed, d, layer->k_attn_in, r->few + t, r->sizes)))
            return status;
        finish(m, number, ATTN_IN, t, r);
    }
    multiply_all(m, &layer->qkv, r->few, n, r->hidden, r->wide);
    attend(m, number, n, position, r->wide, r->scores, r->hidden);
    for (int64_t t = 0; t < n; t++) {
        float *y = r->hidden + t * heads;
        if ((status = keep(m, ATTN_OUT, y, heads, layer->k_attn_out, r->few + t, r->sizes)))
            return status;
        finish(m, number, ATTN_OUT, t, r);
    }
    multiply_all(m, &layer->out, r->few, n, r->hidden, r->wide);
    add_all(n * d, r->wide, r->x);
    return SP_OK;
}

static int run_mlp(sp_decoder *m, int64_t number, int64_t n, room_t *r) {
    const sp_layer *layer = m->layers + number;
    int64_t d = m->d_model, d_mlp = m->d_mlp;
    int status;
    for (int64_t t = 0; t < n; t++) {
        sp_norm(r->x + t * d, layer->mlp_norm, d, m->eps, r->normed, (int)m->level);
        if ((status = keep(m, MLP_IN, r->normed, d, layer->k_mlp_in, r->few + t, r->sizes)))
            return status;
        finish(m, number, MLP_IN, t, r);
    }
    multiply_all(m, &layer->gate_up, r->few, n, r->hidden, r->wide);
    for (int64_t t = 0; t < n; t++) {
        const float *gate = r->wide + t * 2 * d_mlp;
        float *y = r->hidden + t * d_mlp;
        sp_gate(gate, gate + d_mlp, d_mlp, y, (int)m->level);
        if ((status = keep(m, MLP_HIDDEN, y, d_mlp, layer->k_mlp_hidden, r->few + t, r->sizes)))
            return status;
        finish(m, number, MLP_HIDDEN, t, r);
    }
    multiply_all(m, &layer->down, r->few, n, r->hidden, r->wide);
    add_all(n * d, r->wide, r->x);
    for (int64_t t = 0; t < n && layer->k_block_out; t++) {
        float *x = r->x + t * d;
        if ((status = keep(m, BLOCK_OUT, x, d, layer->k_block_out, r->few, r->sizes)))
            return status;
        memset(x, 0, (size_t)d * sizeof(float));
        for (int64_t i = 0; i < r->few->n; i++) x[r->few->indices[i]] = r->few->values[i];
        if (!is_edited(m, number, BLOCK_OUT)) trace(m, number, BLOCK_OUT, t, r->few, r);
    }
    edit_stream(m, number, n, r);
    trace_stream(m, number, n, r);
    return SP_OK;
}

/* Read n tokens, the first at `position`; write the logits of the last `n_logits` of them. */
SP_EXPORT int sp_decode(sp_decoder *m, const int32_t *tokens, int64_t n, int64_t position,
                        int64_t n_logits, float *logits) {
    if (n < 1 || position < 0 || position + n > m->capacity || n_logits < 0 || n_logits > n)
        return SP_BAD_ARGUMENT;
    for (int64_t t = 0; t < n; t++)
        if (tokens[t] < 0 || tokens[t] >= m->vocabulary) return SP_BAD_ARGUMENT;
    room_t r;
    find_room(m, &r);
    int64_t d = m->d_model;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t block = n - start < BLOCK ? n - start : BLOCK;
        for (int64_t t = 0; t < block; t++) {
            float one = 1.0f;
            few_t row = {&one, (int32_t *)&tokens[start + t], 1};
            multiply(m, &m->embedding, &row, r.x + t * d);
        }
        r.tokens = tokens + start;
        r.position = position + start;
        r.start = start;
        for (int64_t l = 0; l < m->n_layers; l++) {
            int status = run_attention(m, l, block, position + start, &r);
            if (!status) status = run_mlp(m, l, block, &r);
            if (status) return status;
        }
        /* The last tokens' logits lie side by side, as the tokens do. */
        int64_t first = start > n - n_logits ? start : n - n_logits, wanted = start + block - first;
        for (int64_t t = 0; t < wanted; t++) {
            sp_norm(r.x + (first - start + t) * d, m->final_norm, d, m->eps, r.normed,
                    (int)m->level);
            r.few[t].n = 0;
            push(r.few + t, r.normed, 0, d, 0);
        }
        if (wanted > 0)
            multiply_all(m, &m->head, r.few, wanted, r.hidden,
                         logits + (first - (n - n_logits)) * m->vocabulary);
    }
    return SP_OK;
}
