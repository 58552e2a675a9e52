/* SPDX-License-Identifier: MIT */
/*
 * Record: the frame around everything the spool writes (docs/SPOOL.md tells it byte by byte). Pure:
 * bytes in, bytes out.
 *
 *     0 "MRS" version | 4 type | 5 zeros | 8 payload length | 12 generation | 16 segment
 *     24 sequence | 32 durable | 40 payload, zeros up to a multiple of 8 | checksum
 *
 * The checksum (XXH3-64) covers all before it, so bytes of another segment, of another run or of
 * another place never count as a record.
 */
#pragma once
#include "mta/base/buf.h"

/* identifier, number on disk, text for alarms */
#define RECORD_TYPES(X)                                                                            \
    X(SEGMENT, 1, "segment head") /* the first of each segment: where those before it end */       \
    X(CHUNK, 2, "content")                                                                         \
    X(PART, 3, "part")             /* the front of a transaction too large for one record */       \
    X(COMMIT, 4, "commit")         /* the end of a transaction: it is a message now */             \
    X(CHECKPOINT, 5, "checkpoint") /* the same, of a message that was one before */                \
    X(OUTCOMES, 6, "outcomes")                                                                     \
    X(LOST, 7, "lost content") /* in place of a chunk that compaction could not read */            \
    X(APPEND, 8, "append")     /* the end of a transaction whose recipients join a message */
#define RECORD_TYPE(id, number, text) RECORD_##id = (number),
enum record_type { RECORD_TYPES(RECORD_TYPE) };
#undef RECORD_TYPE

enum {
    RECORD_VERSION        = 3, /* 1 had no APPEND, 2 nothing that varies or grows: read as well */
    RECORD_VERSION_OLDEST = 1,
    RECORD_HEADER_BYTES   = 40,
    RECORD_CHECKSUM_BYTES = 8,
    RECORD_ALIGN_BYTES    = 8,
    RECORD_PAYLOAD_BYTES_MAX = 64 << 10,
    RECORD_BYTES_MAX   = RECORD_HEADER_BYTES + RECORD_PAYLOAD_BYTES_MAX + RECORD_CHECKSUM_BYTES,
    RECORD_MAGIC_BYTES = 3,
};

struct record {
    enum record_type type;
    uint32_t generation; /* of the run that wrote it */
    uint64_t segment;    /* the file it stands in */
    uint64_t sequence;   /* one more than the record before */
    uint64_t durable;    /* the highest sequence known to be on disk when this one was written */
    struct span payload; /* in the bytes it was parsed from */
};

/* On disk, of a record with that payload. */
size_t record_bytes(size_t payload_bytes);
/* Appends the record; its payload is record->payload with 'more' behind it.  Returns the checksum.
 */
uint64_t record_put(struct buf *into, const struct record *record, struct span more);

enum record_look {
    RECORD_GOOD,  /* *bytes long */
    RECORD_SHORT, /* it may be one, if *bytes were there */
    RECORD_BAD,
};
/* Looks at the beginning of 'in' for a record of that segment; 'checksum' may be NULL. */
enum record_look record_parse(struct span in, uint64_t segment, struct record *record,
                              size_t *bytes, uint64_t *checksum);

/* The number of the segment that a header at the beginning of 'in' names; 0: there is no header. */
uint64_t record_segment(struct span in);
/* The version in the magic at the beginning of 'in'; 0: there is none. */
unsigned record_version(struct span in);

const char *record_type_text(enum record_type type);
