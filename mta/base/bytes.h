/* SPDX-License-Identifier: MIT */
/* Bytes: numbers in fixed, big-endian form, for DNS and the spool; no byte order of any machine
 * leaks in. */
#pragma once
#include <stdint.h>

static inline uint16_t bytes_get16(const void *from)
{
    const uint8_t *b = from;
    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t bytes_get32(const void *from)
{
    const uint8_t *b = from;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t bytes_get64(const void *from)
{
    const uint8_t *b = from;
    return (uint64_t)bytes_get32(b) << 32 | bytes_get32(b + 4);
}

static inline void bytes_put16(void *to, uint16_t value)
{
    uint8_t *b = to;
    b[0]       = (uint8_t)(value >> 8);
    b[1]       = (uint8_t)value;
}

static inline void bytes_put32(void *to, uint32_t value)
{
    bytes_put16(to, (uint16_t)(value >> 16));
    bytes_put16((uint8_t *)to + 2, (uint16_t)value);
}

static inline void bytes_put64(void *to, uint64_t value)
{
    bytes_put32(to, (uint32_t)(value >> 32));
    bytes_put32((uint8_t *)to + 4, (uint32_t)value);
}
