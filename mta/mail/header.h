/* SPDX-License-Identifier: MIT */
/*
 * Header: the header section of a message as it streams by, and the one writer of our own fields.
 */
#pragma once
#include "mta/base/buf.h"

enum {
    HEADER_BYTES_MAX    = 262144, /* security.md 2 */
    HEADER_FIELDS_MAX   = 1000,
    HEADER_RECEIVED_MAX = 100, /* RFC 5321 6.3: more is a loop */
};

/* One field: name without colon, value as it stands (folded, without the last CRLF). */
struct header_field {
    struct span name, value;
};

/* Takes the next field out of a whole header section, or a part of one; false at its end (an empty
 * line, or a line that is no field). */
bool header_next(struct span *section, struct header_field *field);
/* The value of the first field with this name, without case; at == NULL when there is none. */
struct span header_find(struct span section, const char *name);
/* The length of the header section in 'message', with the empty line that ends it; message.len if
 * there is no end. */
size_t header_section_bytes(struct span message);
/* A section of that length without the empty line, if it has one. */
struct span header_alone(struct span section);

/*
 * What intake has to know about a header, gathered from pieces cut anywhere, in bounded memory.
 * Each line counts as soon as it has ended, so it is all there even if no empty line ever comes.
 */
struct header_scan {
    bool is_over;      /* the empty line has come, or a line that is no field */
    bool is_malformed; /* it ended in a line that is no field: fields must not be added behind it */
    bool has_date, has_message_id, has_from, has_8bit;
    unsigned received_count, field_count;
    uint64_t bytes; /* with the empty line, without a line that is no field */
    /* What stands in the <> of the first List-Id and Message-ID, cleaned to printable ASCII; "" if
     * there is none, or if it is longer. */
    char list_id[256];
    char message_id[256];
    /* private: the field so far */
    char line[512];
    size_t line_len;
    bool is_in_line, is_folded, line_has_8bit; /* of the physical line */
    size_t line_bytes;
    unsigned char field;
};

void header_scan_init(struct header_scan *scan);
/* Content in canonical CRLF form. */
void header_scan_feed(struct header_scan *scan, struct span piece);

/*
 * Writes "Name: value CRLF", folded below 78 columns at spaces where it can be and always below
 * 998; every byte that could end or forge a line is replaced (escape.h).  The only way our own
 * fields get into a message.
 */
void header_write(struct buf *into, const char *name, struct span value);

struct header_trace {
    const char *helo;      /* as the client said it */
    const char *client_ip; /* text, without brackets */
    const char *by;        /* our host name */
    const char *protocol;  /* "ESMTP", "ESMTPS", "UTF8SMTP", ... (RFC 3848, 6531) */
    const char *tls;       /* "TLSv1.3 with cipher X", or NULL */
    const char *id;        /* msgid text */
    const char *rcpt;      /* the one recipient, or NULL when there are several */
    uint64_t wall_ms;
    bool hides_client; /* neither helo nor client_ip is written */
};
/* A Received field (RFC 5321 4.4). */
void header_write_received(struct buf *into, const struct header_trace *trace);
