/* SPDX-License-Identifier: MIT */
#include "mta/spool/record.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include <string.h>
#include <xxhash.h>

enum {
    AT_VERSION    = 3,
    AT_TYPE       = 4,
    AT_ZEROS      = 5,
    AT_LENGTH     = 8,
    AT_GENERATION = 12,
    AT_SEGMENT    = 16,
    AT_SEQUENCE   = 24,
    AT_DURABLE    = 32,
    ZEROS         = AT_LENGTH - AT_ZEROS,
};

static const char magic[RECORD_MAGIC_BYTES] = {'M', 'R', 'S'};

const char *record_type_text(enum record_type type)
{
    switch (type) {
#define TEXT(id, number, text)                                                                     \
    case RECORD_##id:                                                                              \
        return text;
        RECORD_TYPES(TEXT)
#undef TEXT
    }
    return NULL;
}

static size_t padded(size_t bytes)
{
    return (bytes + RECORD_ALIGN_BYTES - 1) / RECORD_ALIGN_BYTES * RECORD_ALIGN_BYTES;
}

size_t record_bytes(size_t payload_bytes)
{
    return RECORD_HEADER_BYTES + padded(payload_bytes) + RECORD_CHECKSUM_BYTES;
}

static void put_header(char *at, const struct record *record, size_t payload_bytes)
{
    memset(at, 0, RECORD_HEADER_BYTES);
    memcpy(at, magic, sizeof magic);
    at[AT_VERSION] = RECORD_VERSION;
    at[AT_TYPE]    = (char)record->type;
    bytes_put32(at + AT_LENGTH, (uint32_t)payload_bytes);
    bytes_put32(at + AT_GENERATION, record->generation);
    bytes_put64(at + AT_SEGMENT, record->segment);
    bytes_put64(at + AT_SEQUENCE, record->sequence);
    bytes_put64(at + AT_DURABLE, record->durable);
}

static void put_bytes(char *at, struct span bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
}

uint64_t record_put(struct buf *into, const struct record *record, struct span more)
{
    size_t payload_bytes = record->payload.len + more.len;
    size_t bytes         = record_bytes(payload_bytes);
    size_t covered       = bytes - RECORD_CHECKSUM_BYTES;
    must(payload_bytes <= RECORD_PAYLOAD_BYTES_MAX);

    char *at      = buf_reserve(into, bytes);
    char *payload = at + RECORD_HEADER_BYTES;
    put_header(at, record, payload_bytes);
    put_bytes(payload, record->payload);
    put_bytes(payload + record->payload.len, more);
    memset(payload + payload_bytes, 0, padded(payload_bytes) - payload_bytes);
    uint64_t checksum = XXH3_64bits(at, covered);
    bytes_put64(at + covered, checksum);
    into->len += bytes;
    return checksum;
}

unsigned record_version(struct span in)
{
    if (in.len <= AT_VERSION || memcmp(in.at, magic, sizeof magic) != 0)
        return 0;
    return (unsigned char)in.at[AT_VERSION];
}

uint64_t record_segment(struct span in)
{
    unsigned version = record_version(in);
    if (version < RECORD_VERSION_OLDEST || version > RECORD_VERSION || in.len < RECORD_HEADER_BYTES)
        return 0;
    return bytes_get64(in.at + AT_SEGMENT);
}

static bool is_header(const char *at, uint64_t segment)
{
    static const char zeros[ZEROS];
    return record_type_text((enum record_type)(unsigned char)at[AT_TYPE]) != NULL &&
           memcmp(at + AT_ZEROS, zeros, ZEROS) == 0 &&
           bytes_get32(at + AT_LENGTH) <= RECORD_PAYLOAD_BYTES_MAX &&
           bytes_get64(at + AT_SEGMENT) == segment;
}

enum record_look record_parse(struct span in, uint64_t segment, struct record *record,
                              size_t *bytes, uint64_t *checksum)
{
    *bytes = RECORD_HEADER_BYTES;
    if (in.len >= RECORD_HEADER_BYTES &&
        (record_version(in) < RECORD_VERSION_OLDEST || record_version(in) > RECORD_VERSION ||
         !is_header(in.at, segment)))
        return RECORD_BAD;
    if (in.len < RECORD_HEADER_BYTES)
        return RECORD_SHORT;
    size_t payload_bytes = bytes_get32(in.at + AT_LENGTH);
    *bytes               = record_bytes(payload_bytes);
    if (in.len < *bytes)
        return RECORD_SHORT;
    size_t covered = *bytes - RECORD_CHECKSUM_BYTES;
    uint64_t found = bytes_get64(in.at + covered);
    if (XXH3_64bits(in.at, covered) != found)
        return RECORD_BAD;
    if (checksum != NULL)
        *checksum = found;
    *record = (struct record){
        .type       = (enum record_type)(unsigned char)in.at[AT_TYPE],
        .generation = bytes_get32(in.at + AT_GENERATION),
        .segment    = segment,
        .sequence   = bytes_get64(in.at + AT_SEQUENCE),
        .durable    = bytes_get64(in.at + AT_DURABLE),
        .payload    = {in.at + RECORD_HEADER_BYTES, payload_bytes},
    };
    return RECORD_GOOD;
}
