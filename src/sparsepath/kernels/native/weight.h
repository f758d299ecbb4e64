/* One weight of a row, whatever it is stored as. */

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

static inline float weight(const void *row, int kind, int64_t column) {
    switch (kind) {
    case SP_F32: return ((const float *)row)[column];
    case SP_BF16: return bf16(((const uint16_t *)row)[column]);
    case SP_I8: return (float)((const int8_t *)row)[column];
    default: {
        uint8_t byte = ((const uint8_t *)row)[column / 32 * 16 + column % 16];
        return (float)((column % 32 < 16 ? byte & 15 : byte >> 4) - 8);
    }
    }
}

#endif
