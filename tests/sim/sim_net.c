/* SPDX-License-Identifier: MIT */
/*
 * Each half has one event that brings on, piece by piece, what is on its way.  A stream is freed
 * when both sides have let go of it; 'happened' is always the last thing a function here does,
 * because the owner of the end may close it there.
 */
#include "mta/base/fault.h"
#include "tests/sim/sim_doors.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_stream.h"

enum {
    WINDOW_BYTES_MIN  = 600,
    WINDOW_BYTES_MAX  = 40000,
    FAULT_AFTER_BYTES = 3000,
    PIECE_MS_MAX      = 3,
    THAW_MS           = 60000, /* until the other side notices that the machine is gone */
};

struct sim_net *net_new(void)
{
    return world_new(sizeof(struct sim_net));
}

/* --- pieces --- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t draw_piece(size_t pending)
{
    switch (sim()->plan->faults.torn) {
    case 0:
        return pending;
    case 1:
        return sim_below(2) == 0 ? pending : sim_between(1, pending);
    case 2:
        return sim_between(1, smaller(pending, 400));
    default:
        return sim_between(1, pending < 60 ? smaller(pending, 3) : smaller(pending, 1000));
    }
}

static uint64_t draw_delay_ms(void)
{
    const struct plan_faults *f = &sim()->plan->faults;
    return sim_between(f->net_ms_min, f->net_ms_max);
}

static void send_on(struct half *half)
{
    if (!sim_is_due(&half->arrival))
        sim_after(&half->arrival, draw_delay_ms());
}

/* --- marks --- */

static void lose_marks(struct sim_stream *stream)
{
    struct list *link;
    while ((link = list_take(&stream->marks)) != NULL)
        CONTAINER_OF(link, struct sim_mark, in_stream)->is_lost = true;
}

void stream_took(struct sim_stream *stream)
{
    struct list *link;
    while ((link = list_first(&stream->marks)) != NULL) {
        struct sim_mark *mark = CONTAINER_OF(link, struct sim_mark, in_stream);
        if (mark->offset > stream->half[IN].taken)
            return;
        mark->heard_ms = sim()->now_ms;
        list_remove(link);
    }
}

void end_mark(struct sim_end *end, struct sim_mark *mark)
{
    mark->heard_ms = UINT64_MAX;
    mark->is_lost  = end->stream == NULL || end->stream->is_broken ||
                    (end->stream->conn == NULL && !end->stream->awaits_accept);
    if (mark->is_lost)
        return;
    mark->offset = end->stream->half[IN].written;
    list_push(&end->stream->marks, &mark->in_stream);
}

/* --- the life of a stream --- */

static void free_if_left(struct sim_stream *stream)
{
    if (stream->conn != NULL || stream->end != NULL || stream->awaits_accept)
        return;
    lose_marks(stream);
    for (unsigned i = 0; i < HALVES; i++) {
        sim_cancel(&stream->half[i].arrival);
        buf_release(&stream->half[i].bytes);
    }
    list_remove(&stream->in_net);
    world_free(stream);
}

static void tell_end(struct sim_stream *stream)
{
    if (stream->end != NULL)
        stream->end->happened(stream->end);
    else
        free_if_left(stream);
}

static void break_stream(struct sim_stream *stream)
{
    struct half *in = &stream->half[IN];
    if (stream->is_broken)
        return;
    stream->is_broken = true;
    sim_mark("break", stream->arrived);
    for (unsigned i = 0; i < HALVES; i++)
        sim_cancel(&stream->half[i].arrival);
    if (sim_below(2) == 0)
        in->arrived = 0; /* else what has arrived can still be read */
    in->bytes.len = in->arrived;
    if (stream->conn != NULL)
        conn_note(stream->conn);
    if (stream->end != NULL)
        stream->end->is_broken = true;
    tell_end(stream);
}

/* Counts what arrives against what this stream was fated to; false: it ends here. */
static bool may_arrive(struct sim_stream *stream, size_t bytes)
{
    stream->arrived += bytes;
    if (stream->arrived > stream->freeze_after)
        stream->is_frozen = true;
    if (stream->is_frozen)
        return false;
    if (stream->arrived <= stream->reset_after)
        return true;
    break_stream(stream);
    return false;
}

static void arrive_at_conn(struct sim_stream *stream, size_t piece)
{
    struct half *half = &stream->half[IN];
    if (stream->conn == NULL && !stream->awaits_accept && (piece > 0 || stream->end == NULL)) {
        break_stream(stream); /* bytes for a socket that is closed are answered by a reset */
        return;
    }
    half->arrived += piece;
    half->has_ended = half->is_finished && half->arrived == half->bytes.len;
    if (half->arrived < half->bytes.len)
        sim_after(&half->arrival, sim_below(PIECE_MS_MAX + 1));
    if (stream->conn != NULL)
        conn_note(stream->conn);
}

static void arrive_at_end(struct sim_stream *stream, size_t piece)
{
    struct half *half   = &stream->half[OUT];
    struct sim_end *end = stream->end;
    if (end == NULL) {
        if (piece > 0)
            break_stream(stream);
        else
            free_if_left(stream);
        return;
    }
    buf_put(&end->in, span_make(half->bytes.at, piece));
    buf_drop(&half->bytes, piece);
    half->has_ended = half->is_finished && half->bytes.len == 0;
    end->is_ended   = half->has_ended;
    if (half->bytes.len > 0)
        sim_after(&half->arrival, sim_below(PIECE_MS_MAX + 1));
    end->happened(end);
}

static void on_arrival(struct sim_event *event)
{
    struct half *half         = CONTAINER_OF(event, struct half, arrival);
    struct sim_stream *stream = half->stream;
    size_t pending            = half->bytes.len - half->arrived;
    size_t piece              = pending > 0 ? draw_piece(pending) : 0;
    if (stream->is_frozen && stream->conn == NULL && !stream->awaits_accept) {
        break_stream(stream); /* THAW_MS are over */
        return;
    }
    if (!may_arrive(stream, piece))
        return;
    sim_mark("arrive", piece);
    if (half == &stream->half[IN])
        arrive_at_conn(stream, piece);
    else
        arrive_at_end(stream, piece);
}

static uint64_t draw_fault(unsigned permille)
{
    bool comes = !plan_is_calm() && sim_chance(permille);
    return comes ? sim_below(FAULT_AFTER_BYTES) : UINT64_MAX;
}

struct sim_stream *stream_new(struct sim_end *end)
{
    const struct plan_faults *f = &sim()->plan->faults;
    struct sim_stream *stream   = world_new(sizeof *stream);
    stream->window              = sim_between(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
    stream->reset_after         = draw_fault(f->reset_permille);
    stream->freeze_after        = draw_fault(f->freeze_permille);
    stream->end                 = end;
    for (unsigned i = 0; i < HALVES; i++) {
        stream->half[i].stream = stream;
        sim_event_init(&stream->half[i].arrival, on_arrival, false);
    }
    list_push(&sim()->net->streams, &stream->in_net);
    end->stream   = stream;
    end->is_ended = end->is_broken = false;
    return stream;
}

/* --- the product's side --- */

size_t stream_room(const struct sim_stream *stream)
{
    size_t used = stream->half[OUT].bytes.len + (stream->end != NULL ? stream->end->in.len : 0);
    return used < stream->window ? stream->window - used : 0;
}

void stream_wrote(struct sim_stream *stream)
{
    if (!stream->is_broken)
        send_on(&stream->half[OUT]);
}

void stream_leave(struct sim_stream *stream, bool power)
{
    struct half *out           = &stream->half[OUT];
    stream->conn               = NULL;
    stream->awaits_accept      = false;
    stream->half[IN].bytes.len = stream->half[IN].arrived = 0;
    out->is_finished                                      = true;
    stream->is_frozen                                     = stream->is_frozen || power;
    lose_marks(stream);
    if (stream->is_broken || (stream->end == NULL && out->bytes.len == 0)) {
        free_if_left(stream);
        return;
    }
    if (stream->is_frozen)
        sim_after(&out->arrival, THAW_MS);
    else
        send_on(out);
}

/* --- the world's side --- */

void end_write(struct sim_end *end, struct span bytes)
{
    struct sim_stream *stream = end->stream;
    if (stream == NULL || stream->is_broken)
        return;
    struct half *half = &stream->half[IN];
    buf_put(&half->bytes, bytes);
    half->written += bytes.len;
    send_on(half);
}

void end_take(struct sim_end *end, size_t bytes)
{
    buf_drop(&end->in, bytes);
    if (end->stream != NULL && end->stream->conn != NULL)
        conn_note(end->stream->conn); /* it may write on */
}

bool end_is_orphan(const struct sim_end *end)
{
    return end->stream != NULL && end->stream->is_orphan;
}

static struct sim_stream *let_go(struct sim_end *end)
{
    struct sim_stream *stream = end->stream;
    end->stream               = NULL;
    buf_release(&end->in);
    if (stream != NULL)
        stream->end = NULL;
    return stream;
}

void end_close(struct sim_end *end)
{
    struct sim_stream *stream = let_go(end);
    if (stream == NULL)
        return;
    stream->half[IN].is_finished = true;
    if (stream->is_broken || (stream->conn == NULL && !stream->awaits_accept))
        free_if_left(stream);
    else
        send_on(&stream->half[IN]);
}

void end_reset(struct sim_end *end)
{
    struct sim_stream *stream = let_go(end);
    if (stream == NULL)
        return;
    if (stream->is_broken)
        free_if_left(stream);
    else
        break_stream(stream);
}
