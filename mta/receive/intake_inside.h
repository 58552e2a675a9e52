/* SPDX-License-Identifier: MIT */
/* What the parts of intake share: intake.c (envelope, commit), intake_content.c (content). */
#pragma once
#include "mta/base/arena.h"
#include "mta/receive/growth.h"
#include "mta/receive/intake.h"
#include "mta/receive/posts.h"

enum {
    INTAKE_IP_BYTES       = 64,
    INTAKE_TLS_BYTES      = 96,
    INTAKE_HELD_BYTES     = 128 << 10, /* of a mail, until it is known whether it joins another */
    INTAKE_HELD_BYTES_MAX = 16 << 20,  /* of all together: above, mail goes through at once */
};

struct intake {
    struct spool *spool;
    struct queue *queue;
    struct event_log *log;
    const struct intake_settings *settings;
    uint64_t last_id, seed, now_ms;
    struct list committing;
    struct digest *digest;
    struct posts posts;
    struct list growing; /* struct growth */
    bool is_stopping;    /* nothing is opened or joined any more */
    size_t held_bytes;
};

/*
 * Where the content is.
 *
 *     HOLDING in memory until it ends, if it may join a post -> SAME as that of a post so far: only
 * compared -> THROUGH into the draft
 */
enum intake_phase { INTAKE_HOLDING, INTAKE_SAME, INTAKE_THROUGH };

struct intake_mail {
    struct intake *intake;
    struct list in_committing;
    struct message *message;
    struct draft *draft; /* NULL before intake_begin() */
    void *owner;
    bool asks_utf8, is_ours, is_committing, saw_bare, is_8bit_asked;

    struct table seen; /* recipients, domains folded */
    struct arena seen_arena;
    struct header_scan scan;
    enum intake_phase phase;
    struct buf trace, held; /* not yet in the draft */
    size_t held_bytes;      /* counted in the intake */
    uint64_t client_bytes, prefix_bytes;
    struct content *same;                  /* SAME: of this post */
    uint64_t same_at, same_bytes, same_id; /* as far as compared; of its client, in all */
    uint64_t prefix_bytes_of_same;
    bool has_failed; /* what was the same could not be read again */
    bool has_key;
    struct post_key key;
    struct post *post; /* that it opens or joins, once it is committing */
    bool joins;
    struct growth *growth; /* it makes a message that grows, or is a slice of one */
    bool is_slice;
    uint64_t cursor;
    uint64_t wall_ms;
    struct spool_end *ends;
    size_t end_count;
    char *user; /* NULL: nobody has logged in */
    char ip[INTAKE_IP_BYTES], protocol[16], tls[INTAKE_TLS_BYTES];
};

/* The content is complete.  The post it may join; NULL: it goes on as its own, all in the draft. */
struct post *intake_end_content(struct intake_mail *mail);
/* What is held or compared goes into the draft after all. */
enum status intake_go_through(struct intake_mail *mail);
void intake_release_content(struct intake_mail *mail);

/* intake_grow.c: the message that the mail made, or joined, has come to its cursor, or not. */
void intake_grown(struct intake_mail *mail, enum status status);
/* Those that are over end with a last slice; returns when it wants to look again. */
uint64_t intake_end_growth(struct intake *intake);
