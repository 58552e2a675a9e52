/* SPDX-License-Identifier: MIT */
/* Import from a file, with a report of all that was not taken as it stands, and progress. */
#include "lists/cli_inside.h"
#include "lists/import.h"
#include "mta/base/mem.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include "mta/sys/clock.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, PROGRESS_MS = 200, QUOTE_BYTES_MAX = 120 };

struct run {
    struct order *order;
    struct import *import;
    const char *name; /* of the file, for people */
    FILE *file;
    uint64_t bytes, bytes_all; /* read; of the file, 0 if unknown */
    uint64_t shown_ms;         /* when progress was shown last */
    bool is_on_terminal, is_shown, is_quiet;
    struct buf text;
};

/* --- progress --- */

static void show_progress(struct run *run, const char *what)
{
    const struct import_counts *counts = import_counts(run->import);
    uint64_t now_ms                    = clock_now_ms();
    if (!run->is_on_terminal || now_ms < run->shown_ms + PROGRESS_MS)
        return;
    run->shown_ms = now_ms;
    run->is_shown = true;
    (void)fprintf(stderr, "\r%s: %llu lines", what, (unsigned long long)counts->lines);
    if (run->bytes_all > 0)
        (void)fprintf(stderr, ", %llu%%", (unsigned long long)(run->bytes * 100 / run->bytes_all));
    (void)fprintf(stderr, ", %llu refused\033[K",
                  (unsigned long long)counts->notes[IMPORT_REFUSED]);
}

static void clear_progress(struct run *run)
{
    if (run->is_shown)
        (void)fputs("\r\033[K", stderr);
    run->is_shown = false;
}

/* --- the report --- */

static void put_note_json(const struct run *run, const struct import_note *note, struct buf *into)
{
    buf_put_byte(into, '{');
    field_text(into, "file", run->name);
    field_number(into, "line", note->line);
    field_text(into, "what", import_note_text(note->kind));
    field_key(into, "found");
    escape_json(span_first(note->found, QUOTE_BYTES_MAX), into);
    field_key(into, note->kind == IMPORT_NORMALISED ? "as" : "reason");
    escape_json(note->reason, into);
    buf_put_text(into, "}\n");
}

static void put_note_text(const struct run *run, const struct import_note *note, struct buf *into)
{
    buf_printf(into, "%s:%llu: %s: '", run->name, (unsigned long long)note->line,
               import_note_text(note->kind));
    escape_text(span_trim(note->found), QUOTE_BYTES_MAX, into);
    buf_put_text(into, note->kind == IMPORT_NORMALISED ? "' to " : "': ");
    escape_text(note->reason, MEMBER_CAUSE_BYTES_MAX + QUOTE_BYTES_MAX, into);
    buf_put_byte(into, '\n');
}

static void print_notes(struct run *run)
{
    struct import_note note;
    while (import_next(run->import, &note)) {
        if (run->is_quiet)
            continue;
        if (run->order->as_json)
            put_note_json(run, &note, &run->text);
        else
            put_note_text(run, &note, &run->text);
    }
    if (run->text.len > 0)
        clear_progress(run);
    order_print(&run->text);
}

static void put_summary_json(const struct run *run, const struct import_counts *c, struct buf *into)
{
    buf_put_byte(into, '{');
    field_bool(into, "summary", true);
    field_bool(into, "dry_run", args_has(&run->order->args, "dry-run"));
    field_number(into, "lines", c->lines);
    field_number(into, "records", c->records);
    field_number(into, "added", c->added);
    field_number(into, "changed", c->changed);
    field_number(into, "unchanged", c->unchanged);
    for (unsigned i = 0; i < IMPORT_NOTE_COUNT; i++)
        field_number(into, i == IMPORT_LEFT_OUT ? "left_out" : import_note_text(i), c->notes[i]);
    buf_put_text(into, "}\n");
}

static void put_summary_text(const struct run *run, const struct import_counts *c, struct buf *into)
{
    bool is_dry = args_has(&run->order->args, "dry-run");
    buf_printf(into, "%s%llu added, %llu changed, %llu unchanged", is_dry ? "nothing done: " : "",
               (unsigned long long)c->added, (unsigned long long)c->changed,
               (unsigned long long)c->unchanged);
    for (unsigned i = 0; i < IMPORT_NOTE_COUNT; i++)
        if (c->notes[i] > 0)
            buf_printf(into, ", %llu %s", (unsigned long long)c->notes[i], import_note_text(i));
    buf_printf(into, " (%llu lines)\n", (unsigned long long)c->lines);
}

static int finish(struct run *run)
{
    const struct import_counts *c = import_counts(run->import);
    enum status status            = import_status(run->import);
    clear_progress(run);
    if (status == BAD_INPUT)
        return order_refuse(EX_DATAERR, "%s: %s", run->name, import_error(run->import));
    if (status != OK)
        return order_failed(run->order, status);
    if (run->order->as_json)
        put_summary_json(run, c, &run->text);
    else
        put_summary_text(run, c, &run->text);
    order_print(&run->text);
    return c->notes[IMPORT_REFUSED] > 0 ? EX_DATAERR : EX_OK;
}

/* --- reading --- */

static int read_all(struct run *run)
{
    char *bytes  = mem_new(READ_BYTES);
    bool is_last = false;
    while (!is_last && import_status(run->import) == OK) {
        size_t got = fread(bytes, 1, READ_BYTES, run->file);
        run->bytes += got;
        is_last = got < READ_BYTES;
        import_feed(run->import, span_make(bytes, got), is_last);
        print_notes(run);
        show_progress(run, "reading");
    }
    mem_free(bytes);
    if (ferror(run->file))
        return order_refuse(EX_IOERR, "%s: %s", run->name, strerror(errno));
    return EX_OK;
}

static int run_import(struct run *run)
{
    int code = read_all(run);
    while (code == EX_OK && import_merge(run->import))
        show_progress(run, "storing");
    if (code == EX_OK)
        code = finish(run);
    const struct import_counts *c = import_counts(run->import);
    if (c->added + c->changed > 0 && !args_has(&run->order->args, "dry-run"))
        run->order->cli->has_changed = true;
    return code;
}

static int read_format(const struct order *o, enum import_format *format)
{
    const char *word = args_value(&o->args, "format");
    *format          = IMPORT_GUESS;
    if (word == NULL)
        return EX_OK;
    if (strcmp(word, "lines") != 0 && strcmp(word, "csv") != 0)
        return order_refuse(EX_USAGE, "--format: '%s' should be lines or csv", word);
    *format = word[0] == 'l' ? IMPORT_LINES : IMPORT_CSV;
    return EX_OK;
}

static int open_file(struct run *run, const char *path)
{
    struct stat about;
    bool is_input = strcmp(path, "-") == 0;
    run->name     = is_input ? "(standard input)" : path;
    run->file     = is_input ? stdin : fopen(path, "re");
    if (run->file == NULL)
        return order_refuse(EX_NOINPUT, "%s: %s", path, strerror(errno));
    if (fstat(fileno(run->file), &about) == 0 && S_ISDIR(about.st_mode))
        return order_refuse(EX_NOINPUT, "%s: is a directory", path);
    if (fstat(fileno(run->file), &about) == 0 && S_ISREG(about.st_mode))
        run->bytes_all = (uint64_t)about.st_size;
    return EX_OK;
}

int order_import(struct order *o)
{
    struct run run                  = {.order = o, .is_on_terminal = isatty(STDERR_FILENO) != 0};
    const char *cause               = args_value(&o->args, "cause");
    struct import_settings settings = {
        .list    = o->list,
        .is_dry  = args_has(&o->args, "dry-run"),
        .wall_ms = o->wall_ms,
        .cause   = cause == NULL ? "by import" : cause,
    };
    if (strlen(settings.cause) > MEMBER_CAUSE_BYTES_MAX ||
        !utf8_is_printable(span_of(settings.cause)))
        return order_refuse(EX_USAGE, "--cause: one line of UTF-8, at most 500 bytes");
    int code = read_format(o, &settings.format);
    if (code == EX_OK)
        code = open_file(&run, o->args.words[1]);
    if (code == EX_OK) {
        run.is_quiet = args_has(&o->args, "quiet");
        run.import   = import_new(o->store, &settings);
        code         = run_import(&run);
        import_free(run.import);
    }
    if (run.file != NULL && run.file != stdin)
        (void)fclose(run.file);
    buf_release(&run.text);
    return code;
}
