/* What the files of this folder share. No Python in here: the library is loaded by ctypes. */

#ifndef SP_NATIVE_H
#define SP_NATIVE_H

#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SP_X86 1
#include <immintrin.h>
#endif

#if defined(_WIN32)
#define SP_EXPORT __declspec(dllexport)
#else
#define SP_EXPORT __attribute__((visibility("default")))
#endif

/* What functions return. */
enum { SP_OK = 0, SP_BAD_ARGUMENT = 1, SP_NO_MEMORY = 2 };

/* Instruction sets, each holding those before it. */
enum { SP_PLAIN = 0, SP_AVX2 = 1, SP_AVX512 = 2 };

void sp_fill_topk_tables(void);

#endif
