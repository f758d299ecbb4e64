/* One weight of a row, whatever it is stored as.
 *
 * Weights of 4 bits: 32 outputs are a block of 16 bytes of levels' numbers, the first 16 in the low
 * halves, and their scale as bf16. As in kernels/four_bits.py.
 */

#ifndef SP_WEIGHT_H
#define SP_WEIGHT_H

#include <stdint.h>
#include <string.h>

#include "native.h"

#define ALWAYS static inline __attribute__((always_inline))

static inline float bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}

#define LEVELS -127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127

enum { BLOCK_BYTES = 18, SCALE_AT = 16 };

static inline float block_scale(const uint8_t *block) {
    uint16_t bits;
    memcpy(&bits, block + SCALE_AT, 2);
    return bf16(bits);
}

static inline float weight(const void *row, int kind, int64_t column) {
    switch (kind) {
    case SP_F32: return ((const float *)row)[column];
    case SP_BF16: return bf16(((const uint16_t *)row)[column]);
    case SP_I8: return (float)((const int8_t *)row)[column];
    default: {
        static const float levels[] = {LEVELS};
        const uint8_t *block = (const uint8_t *)row + column / SP_TILE * BLOCK_BYTES;
        uint8_t byte = block[column % 16];
        return levels[column % SP_TILE < 16 ? byte & 15 : byte >> 4] * block_scale(block);
    }
    }
}

#endif
