/* SPDX-License-Identifier: MIT */
#include "mta/receive/porter.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/crew.h"
#include "mta/sys/file.h"
#include "mta/sys/loop.h"

enum { WRITE_MS = 60000, USAGE_MODE = 0600 };

/* The file of the counts: written by one hand, one version at a time. */
struct porter_writer {
    struct crew *crew;
    struct work work;
    char *path;
    struct buf text;         /* the hand's while is_writing */
    struct buf error;        /* the same */
    struct buf warning;      /* not taken yet */
    bool is_writing, is_due; /* something was sent since */
    bool has_failed;         /* said once, until it works again */
    uint64_t write_ms;
};

static void warn(struct porter_writer *w, const char *what, struct buf *error)
{
    if (!w->has_failed)
        buf_printf(&w->warning, "%s: %s", what, buf_text(error));
    w->has_failed = true;
    buf_clear(error);
}

static void write_file(struct work *work)
{
    struct porter_writer *w = CONTAINER_OF(work, struct porter_writer, work);
    (void)file_replace(w->path, buf_span(&w->text), USAGE_MODE, &w->error);
}

static void read_usage(struct porter *p)
{
    struct porter_writer *w = p->writer;
    struct buf text = {0}, error = {0};
    enum status status = file_read(w->path, &text, &error);
    if (status == OK && !quotas_read(&p->quotas, buf_span(&text)))
        buf_printf(&error, "%s holds lines that cannot be understood; they were left out", w->path);
    if (error.len > 0 && status != NOT_FOUND)
        warn(w, "what users have sent is not known", &error);
    w->has_failed = false;
    buf_release(&text);
    buf_release(&error);
}

struct porter *porter_open(struct loop *loop, const char *usage)
{
    struct porter *p = mem_new(sizeof *p);
    uint64_t seed;
    clock_random(&seed, sizeof seed);
    p->users  = users_new();
    p->sasl   = sasl_new();
    p->checks = checks_open(loop);
    guard_init(&p->guard, seed);
    quotas_init(&p->quotas, seed);
    p->writer           = mem_new(sizeof *p->writer);
    p->writer->crew     = crew_open(loop, 1);
    p->writer->path     = mem_text(usage);
    p->writer->work.run = write_file;
    read_usage(p);
    return p;
}

static void prepare(struct porter *p)
{
    buf_clear(&p->writer->text);
    quotas_write(&p->quotas, &p->writer->text);
    p->writer->is_due = false;
}

static void close_writer(struct porter *p)
{
    struct porter_writer *w = p->writer;
    crew_close(w->crew);
    if (w->is_due) {
        prepare(p);
        write_file(&w->work);
    }
    mem_free(w->path);
    buf_release(&w->text);
    buf_release(&w->error);
    buf_release(&w->warning);
    mem_free(w);
}

void porter_close(struct porter *p)
{
    close_writer(p);
    checks_close(p->checks);
    sasl_free(p->sasl);
    users_free(p->users);
    guard_release(&p->guard);
    quotas_release(&p->quotas);
    mem_free(p);
}

struct users *porter_read_users(const char *path, struct buf *error)
{
    struct buf text     = {0};
    struct users *users = NULL;
    enum status status  = file_read_secret(path, &text, error);
    if (status == OK)
        users = users_parse(buf_span(&text), path, error);
    else
        buf_printf(error, "%s\n",
                   status == NOT_FOUND ? ": nobody can log in; 'mailrace user add' makes it" : "");
    if (status == NOT_FOUND)
        users = users_new();
    password_wipe(text.at, text.len);
    buf_release(&text);
    return users;
}

void porter_set_users(struct porter *p, struct users *users)
{
    users_free(p->users);
    p->users = users;
}

void porter_note_sent(struct porter *p)
{
    p->writer->is_due = true;
}

static void take_written(struct porter_writer *w)
{
    if (!w->is_writing || crew_take(w->crew) == NULL)
        return;
    w->is_writing = false;
    if (w->error.len > 0)
        warn(w, "what users have sent is not kept", &w->error);
    else
        w->has_failed = false;
}

uint64_t porter_turn(struct porter *p, uint64_t now_ms, uint64_t wall_ms)
{
    struct porter_writer *w = p->writer;
    take_written(w);
    if (!w->is_due || w->is_writing)
        return UINT64_MAX;
    if (w->write_ms == 0)
        w->write_ms = now_ms + WRITE_MS;
    if (now_ms < w->write_ms)
        return w->write_ms;
    quotas_forget(&p->quotas, wall_ms);
    prepare(p);
    w->write_ms   = 0;
    w->is_writing = true;
    crew_give(w->crew, &w->work);
    return UINT64_MAX;
}

bool porter_take_warning(struct porter *p, struct buf *sentence)
{
    struct buf *warning = &p->writer->warning;
    if (warning->len == 0)
        return false;
    buf_put(sentence, buf_span(warning));
    buf_clear(warning);
    return true;
}
