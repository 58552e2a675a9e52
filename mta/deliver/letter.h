/* SPDX-License-Identifier: MIT */
/*
 * Letter: what one job sends.  Its front was made for it: signatures, and for a post of a list the
 * header with the recipient's own return address, links and names.  Behind that stands what all
 * recipients get: the stored content from 'skip' on.  Where names are woven into the text itself,
 * everything is front.
 *
 * What can be done once for a message and shard is (bodies.h, BODY_SEAL): compiling its holes,
 * hashing its body, signing where nothing differs.  One thread.
 */
#pragma once
#include "mta/deliver/bodies.h"
#include "mta/mail/dot.h"
#include "mta/queue/job.h"

struct shard;

struct letter {
    struct body *seal; /* a reference; NULL: the content goes out as it is stored */
    struct buf own;    /* memory kept for the next letter */
    struct span front; /* in 'own' or the seal */
    size_t front_at;   /* how much of it was taken */
    uint64_t skip;     /* of the content: 'front' stands in its place */
    uint64_t bytes;    /* of the whole, without stuffed dots */
    bool is_whole;     /* nothing comes behind the front */
    struct dot_writer dot;
};

/* Makes it ready, whatever was in it.  CORRUPT, IO_ERROR: the content cannot be read; the letter is
 * closed then. */
enum status letter_open(struct letter *letter, struct shard *shard, const struct job *job);
void letter_close(struct letter *letter);
/* And gives its memory back. */
void letter_release(struct letter *letter);

/* Appends what stands in front, as it goes out; at most 'max' bytes of it, before stuffing.  false:
 * nothing is left.  'is_last' for a letter that is whole: the end mark was appended too.
 * BAD_INPUT in *status: as in render.h. */
bool letter_take_front(struct letter *letter, size_t max, bool is_chunk, struct buf *into,
                       bool *is_last, enum status *status);
