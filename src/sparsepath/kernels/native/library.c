/* What the library is, and what the processor can do. */

#include "native.h"

#define ABI 10

/* Raised whenever a function changes, so that an old library is not used by mistake. */
SP_EXPORT int sp_abi(void) { return ABI; }

SP_EXPORT int sp_best_level(void) {
#ifdef SP_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return SP_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("popcnt"))
        return SP_AVX2;
#endif
#ifdef SP_ARM
    return SP_NEON; /* every processor of 64 bits has it */
#endif
    return SP_PLAIN;
}

/* Called once, before anything else. */
SP_EXPORT void sp_start(void) {
    sp_fill_topk_tables();
    sp_note_forks();
}
