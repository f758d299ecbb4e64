/* Threads that share the parts of a task: they take parts until none is left.
 *
 * Who has nothing to do spins for a moment, since the next task of a token comes within
 * microseconds, and then sleeps. A thread that the system does not run holds nobody up, as long as
 * it has not taken a part. Where there are no POSIX threads, one thread does everything.
 */

#include "native.h"

#if defined(_WIN32)

struct sp_pool {
    int unused;
};

SP_EXPORT sp_pool *sp_pool_start(int64_t n_threads) {
    (void)n_threads;
    return 0;
}
SP_EXPORT void sp_pool_stop(sp_pool *pool) { (void)pool; }
SP_EXPORT int64_t sp_pool_threads(const sp_pool *pool) {
    (void)pool;
    return 1;
}
void sp_note_forks(void) {}
void sp_share(sp_pool *pool, int64_t n, sp_part part, void *task) {
    (void)pool;
    for (int64_t i = 0; i < n; i++) part(task, i, n);
}

#else

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SPIN_NS 100000
#define LEFT UINT32_MAX /* lower half of `state`: parts that nobody has taken */

struct sp_pool {
    /* Number of the task above, parts that are left of it below: both change at once, so that a
     * part is only taken of the task that is meant. */
    uint64_t state;
    sp_part part;
    void *task;
    int64_t n, done;
    int64_t n_workers, sleeping;
    int is_stopping, is_awaited;
    int64_t process; /* its threads are in no other */
    pthread_mutex_t lock;
    pthread_cond_t work, end;
    pthread_t workers[];
};

static int64_t process; /* changes in a process that was forked */

static void forked(void) { process++; }

void sp_note_forks(void) { pthread_atfork(0, 0, forked); }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void pause_briefly(void) {
#if defined(SP_X86)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int has_work(sp_pool *p) {
    return (__atomic_load_n(&p->state, __ATOMIC_SEQ_CST) & LEFT) != 0 ||
           __atomic_load_n(&p->is_stopping, __ATOMIC_SEQ_CST);
}

static int is_done(sp_pool *p) { return __atomic_load_n(&p->done, __ATOMIC_SEQ_CST) == p->n; }

/* Look for a moment whether something holds. */
static int spin(sp_pool *p, int (*holds)(sp_pool *)) {
    int64_t end = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (holds(p)) return 1;
            pause_briefly();
        }
    } while (now_ns() < end);
    return 0;
}

/* Take parts and do them until none is left. */
static void take_parts(sp_pool *p) {
    uint64_t state = __atomic_load_n(&p->state, __ATOMIC_SEQ_CST);
    while (state & LEFT) {
        if (!__atomic_compare_exchange_n(&p->state, &state, state - 1, 0, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            continue;
        /* The task cannot end before this part has, so what describes it stays. */
        p->part(p->task, (int64_t)(state & LEFT) - 1, p->n);
        int64_t n = p->n;
        if (__atomic_add_fetch(&p->done, 1, __ATOMIC_SEQ_CST) == n &&
            __atomic_load_n(&p->is_awaited, __ATOMIC_SEQ_CST)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->end);
            pthread_mutex_unlock(&p->lock);
        }
        state = __atomic_load_n(&p->state, __ATOMIC_SEQ_CST);
    }
}

static void *work(void *given) {
    sp_pool *p = given;
    while (!__atomic_load_n(&p->is_stopping, __ATOMIC_SEQ_CST)) {
        if (!spin(p, has_work)) {
            pthread_mutex_lock(&p->lock);
            __atomic_add_fetch(&p->sleeping, 1, __ATOMIC_SEQ_CST);
            while (!has_work(p)) pthread_cond_wait(&p->work, &p->lock);
            __atomic_sub_fetch(&p->sleeping, 1, __ATOMIC_SEQ_CST);
            pthread_mutex_unlock(&p->lock);
        }
        take_parts(p);
    }
    return 0;
}

static void wake(sp_pool *p) {
    if (!__atomic_load_n(&p->sleeping, __ATOMIC_SEQ_CST)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

/* Threads of a pool, with the one that calls; NULL if there are no others. */
SP_EXPORT sp_pool *sp_pool_start(int64_t n_threads) {
    if (n_threads < 2) return 0;
    sp_pool *p = calloc(1, sizeof(sp_pool) + (size_t)(n_threads - 1) * sizeof(pthread_t));
    if (!p) return 0;
    p->process = process;
    pthread_mutex_init(&p->lock, 0);
    pthread_cond_init(&p->work, 0);
    pthread_cond_init(&p->end, 0);
    while (p->n_workers < n_threads - 1 &&
           !pthread_create(&p->workers[p->n_workers], 0, work, p))
        p->n_workers++;
    return p;
}

/* Not after a fork: there the threads are missing, and the pool is left as it is. */
SP_EXPORT void sp_pool_stop(sp_pool *p) {
    if (!p || p->process != process) return;
    __atomic_store_n(&p->is_stopping, 1, __ATOMIC_SEQ_CST);
    wake(p);
    for (int64_t i = 0; i < p->n_workers; i++) pthread_join(p->workers[i], 0);
    pthread_cond_destroy(&p->end);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Threads that a task has; 1 in a process that was forked. */
SP_EXPORT int64_t sp_pool_threads(const sp_pool *p) {
    return p && p->process == process ? 1 + p->n_workers : 1;
}

void sp_share(sp_pool *p, int64_t n, sp_part part, void *task) {
    if (n < 2 || sp_pool_threads(p) < 2) {
        for (int64_t i = 0; i < n; i++) part(task, i, n);
        return;
    }
    p->part = part;
    p->task = task;
    p->n = n;
    __atomic_store_n(&p->done, 0, __ATOMIC_SEQ_CST);
    uint64_t number = (__atomic_load_n(&p->state, __ATOMIC_SEQ_CST) >> 32) + 1;
    __atomic_store_n(&p->state, number << 32 | (uint64_t)n, __ATOMIC_SEQ_CST);
    wake(p);
    take_parts(p);
    if (spin(p, is_done)) return;
    pthread_mutex_lock(&p->lock);
    __atomic_store_n(&p->is_awaited, 1, __ATOMIC_SEQ_CST);
    while (!is_done(p)) pthread_cond_wait(&p->end, &p->lock);
    __atomic_store_n(&p->is_awaited, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&p->lock);
}

#endif
