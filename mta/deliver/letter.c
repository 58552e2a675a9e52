/* SPDX-License-Identifier: MIT */
#include "mta/deliver/letter.h"
#include "mta/base/fault.h"
#include "mta/deliver/world.h"
#include "mta/mail/header.h"
#include "mta/mail/merge.h"
#include "mta/spool/spool.h"
#include "mta/sys/loop.h"

/* --- what holes stand for --- */

enum { LETTER_EXTRAS = 3, LETTER_BYTES_KEPT = 64 << 10 };

struct filling {
    struct merge_values values;
    struct merge_extra extras[LETTER_EXTRAS];
    char bounce[TOKEN_CHARS + 1], leave[TOKEN_CHARS + 1];
    struct buf url;
};

static void add_tokens(struct filling *f, struct shard *shard, uint32_t list_id)
{
    const struct token_subject subject = {list_id, merge_member(&f->values)};
    token_make(shard->tokens, TOKEN_BOUNCE, &subject, f->bounce);
    token_make(shard->tokens, TOKEN_LEAVE, &subject, f->leave);
    buf_put_text(&f->url, shard->settings->unsubscribe_url);
    buf_put_text(&f->url, f->leave);
    f->extras[0]          = (struct merge_extra){"bounce_token", span_of(f->bounce)};
    f->extras[1]          = (struct merge_extra){"leave_token", span_of(f->leave)};
    f->extras[2]          = (struct merge_extra){"unsubscribe_url", buf_span(&f->url)};
    f->values.extras      = f->extras;
    f->values.extra_count = LETTER_EXTRAS;
}

static void filling_open(struct filling *f, struct shard *shard, const struct job *job)
{
    must(job->rcpt_count == 1); /* the queue gives individual messages so */
    const struct envelope_rcpt *rcpt = &job->rcpts[0].envelope;
    *f                               = (struct filling){
                                      .values = {.address = span_of(rcpt->address), .data = span_of(rcpt->data)}
    };
    if (shard->tokens != NULL && job->envelope->list_id != 0)
        add_tokens(f, shard, job->envelope->list_id);
}

static void filling_close(struct filling *f)
{
    buf_release(&f->url);
}

/* --- seals --- */

/* Hands the content to 'header' up to the end of its header section, and the rest to the hash. */
struct sealing {
    struct buf header; /* with what was read behind it */
    struct dkim_body hash;
    bool is_behind;
};

static void seal_feed(struct sealing *sealing, struct span piece)
{
    if (sealing->is_behind) {
        dkim_body_add(&sealing->hash, piece);
        return;
    }
    buf_put(&sealing->header, piece);
    size_t section = header_section_bytes(buf_span(&sealing->header));
    if (section == sealing->header.len)
        return;
    sealing->is_behind = true;
    dkim_body_add(&sealing->hash, span_skip(buf_span(&sealing->header), section));
    sealing->header.len = section;
}

static enum status read_content(struct shard *shard, const struct content *content,
                                struct sealing *sealing)
{
    uint64_t offset = 0;
    while (offset < content_bytes(content)) {
        size_t got = 0;
        enum status status =
            content_read(content, offset, shard->scratch, RENDER_PIECE_BYTES, &got);
        if (status != OK)
            return status == END ? CORRUPT : status;
        seal_feed(sealing, span_make(shard->scratch, got));
        offset += got;
    }
    return OK;
}

/* Signatures that are the same for everybody. */
static enum status seal_signed(struct shard *shard, const struct job *job, struct body *seal)
{
    struct sealing sealing = {0};
    dkim_body_begin(&sealing.hash, shard->signers.digest);
    enum status status = read_content(shard, job->content, &sealing);
    dkim_body_end(&sealing.hash, seal->hash);
    if (status == OK)
        signers_sign(&shard->signers, header_alone(buf_span(&sealing.header)), seal->hash,
                     loop_wall_ms(shard->loop), &seal->bytes);
    buf_release(&sealing.header);
    return status;
}

static enum status read_all(struct shard *shard, const struct content *content, struct buf *into)
{
    while (into->len < content_bytes(content)) {
        size_t got = 0;
        enum status status =
            content_read(content, into->len, shard->scratch, RENDER_PIECE_BYTES, &got);
        if (status != OK)
            return status == END ? CORRUPT : status;
        buf_put(into, span_make(shard->scratch, got));
    }
    return OK;
}

/* The canonical body begins behind the empty line, which is the first two bytes here. */
static void hash_body(struct shard *shard, const struct merge *merge,
                      const struct merge_values *values, unsigned char hash[DIGEST_BYTES])
{
    struct buf scratch = {0};
    struct dkim_body body;
    struct span bytes;
    size_t at = 0, skip = 2;
    dkim_body_begin(&body, shard->signers.digest);
    while (merge_body_next(merge, values, &at, &scratch, &bytes)) {
        size_t skipped = skip < bytes.len ? skip : bytes.len;
        dkim_body_add(&body, span_skip(bytes, skipped));
        skip -= skipped;
    }
    dkim_body_end(&body, hash);
    buf_release(&scratch);
}

/* A message with holes. */
static enum status seal_merged(struct shard *shard, const struct job *job, struct body *seal)
{
    static const struct merge_values nobody = {
        {"", 0},
        {"", 0},
        NULL, 0
    };
    struct buf content = {0};
    enum status status = read_all(shard, job->content, &content);
    if (status == OK)
        seal->merge = merge_new(buf_span(&content), job->envelope->merge);
    if (status == OK && merge_has_one_body(seal->merge))
        hash_body(shard, seal->merge, &nobody, seal->hash);
    buf_release(&content);
    return status;
}

static enum status take_seal(struct shard *shard, const struct job *job, struct body **seal)
{
    const struct body_key key = {job->message_id, BODY_SEAL};
    *seal                     = bodies_find(&shard->bodies, &key, shard->now_ms);
    if (*seal != NULL)
        return OK;
    struct body *made  = body_new(&key);
    enum status status = job->envelope->merge == MERGE_NONE ? seal_signed(shard, job, made)
                                                            : seal_merged(shard, job, made);
    if (status != OK) {
        body_give(made);
        return status;
    }
    if (job->has_siblings)
        bodies_keep(&shard->bodies, made, shard->now_ms);
    *seal = made;
    return OK;
}

/* --- the letter --- */

/* Signatures, header and, where it differs, the body, for one recipient. */
static void write_own(struct letter *letter, struct shard *shard, const struct job *job)
{
    struct merge *merge = letter->seal->merge;
    struct buf header = {0}, scratch = {0};
    unsigned char hash[DIGEST_BYTES];
    struct filling f;
    struct span bytes;
    size_t at = 0;
    filling_open(&f, shard, job);
    merge_header(merge, &f.values, &header);
    letter->is_whole = !merge_has_one_body(merge);
    if (letter->is_whole)
        hash_body(shard, merge, &f.values, hash);
    signers_sign(&shard->signers, buf_span(&header), letter->is_whole ? hash : letter->seal->hash,
                 loop_wall_ms(shard->loop), &letter->own);
    buf_put(&letter->own, buf_span(&header));
    while (letter->is_whole && merge_body_next(merge, &f.values, &at, &scratch, &bytes))
        buf_put(&letter->own, bytes);
    letter->front = buf_span(&letter->own);
    letter->skip  = letter->is_whole ? job->content_bytes : merge_header_bytes(merge);
    filling_close(&f);
    buf_release(&header);
    buf_release(&scratch);
}

/* Our own lists, which take mail by LMTP, are told nothing by a signature, and what came from
 * outside must not get one on its way to them. */
static bool is_signed(const struct shard *shard, const struct job *job)
{
    return shard->signers.count > 0 && !job->target->is_lmtp && !job->target->is_inbound;
}

enum status letter_open(struct letter *letter, struct shard *shard, const struct job *job)
{
    enum status status = OK;
    letter_close(letter);
    letter->bytes = job->content_bytes;
    if (job->envelope->merge == MERGE_NONE && !is_signed(shard, job))
        return OK;
    status = take_seal(shard, job, &letter->seal);
    if (status != OK)
        return status;
    if (letter->seal->merge != NULL)
        write_own(letter, shard, job);
    else
        letter->front = buf_span(&letter->seal->bytes);
    letter->bytes = letter->front.len + job->content_bytes - letter->skip;
    return OK;
}

void letter_close(struct letter *letter)
{
    body_give(letter->seal);
    if (letter->own.cap > LETTER_BYTES_KEPT)
        buf_release(&letter->own);
    buf_clear(&letter->own);
    *letter = (struct letter){.own = letter->own};
}

void letter_release(struct letter *letter)
{
    letter_close(letter);
    buf_release(&letter->own);
}

/* Lines of a header section never begin with a dot, but nobody need rely on that. */
bool letter_take_front(struct letter *letter, size_t max, bool is_chunk, struct buf *into,
                       bool *is_last, enum status *status)
{
    struct span piece = span_first(span_skip(letter->front, letter->front_at), max);
    if (piece.len == 0)
        return false;
    if (letter->front_at == 0)
        dot_writer_init(&letter->dot, is_chunk);
    letter->front_at += piece.len;
    *is_last  = letter->is_whole && letter->front_at == letter->front.len;
    bool goes = dot_writer_put(&letter->dot, piece, into) &&
                (!*is_last || dot_writer_end(&letter->dot, into));
    *status = goes ? OK : BAD_INPUT;
    return true;
}
