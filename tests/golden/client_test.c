/* SPDX-License-Identifier: MIT */
/*
 * Plays tests/golden/client_*.smtp against the SMTP client core, at every chunk size.
 *
 *     O: options   of the session, before anything else: lmtp secured tls=offered tls=required
 *                  user=NAME password=TEXT clear ignore=KEYWORD
 *     S: text      the peer says this line            s: the same, without a line end
 *     C: text      this line goes out next
 *     J: options   a job is handed over: from=ADDRESS to=ADDRESS,ADDRESS size=N 8bit utf8 ret=full
 *                  ret=hdrs envid=TEXT notify=N orcpt=TEXT; default: from s@y.example to two
 *     B:           its body is asked for, and goes out uncopied with the end mark
 *     P: text      a piece of the body is asked for and goes out (with CRLF)
 *     U:           the last piece is handed over, but does not get out
 *     W:           now it does         K: text    like B:, of a chunk
 *     N: options   like J:, for the job behind the one whose body is in hand
 *     T:           TLS is asked for, and stands      Q: good-bye is said
 *     X:           the connection dies               A: the body cannot be completed
 *     R: i cause code stage      a result: recipient i; with "^ " in front for each job that came
 *                                after its own, with " behind" if it was sent ahead of a reply
 *     F: cause code stage        so the session failed
 *     I:           it is idle: a job is wanted       D: it is done: it wants to be closed
 *
 * Neighbouring S: lines are fed as one run of bytes cut into chunks, so that replies arrive torn
 * and glued in every way.  At the end of each nothing may be left to write or to tell.
 */
#include "mta/smtp/client.h"
#include "script.h"
#include "tests/unit/smtp_output.h"

enum {
    CHUNK_BYTES_MAX = 64,
    HEARD_BYTES     = 1 << 17,
    RCPTS_MAX       = 8,
    JOBS_MAX        = 8,
    JOB_TEXT_BYTES  = 4096
};

static const char *const causes[] = {"reply",     "lost",       "in-doubt",   "protocol",
                                     "too-large", "needs-utf8", "needs-8bit", "limit",
                                     "policy",    "no-bdat"};
static const struct span body     = SPAN("hi\r\n.\r\n");

struct player {
    struct script script;
    size_t chunk; /* bytes fed at once */
    struct smtp_client_config config;
    struct smtp_client client;
    struct player_job {
        struct smtp_job job;
        struct envelope_rcpt rcpts[RCPTS_MAX];
    } jobs[JOBS_MAX];
    size_t job_count;
    struct span piece;              /* in hand */
    char texts[2 * JOB_TEXT_BYTES]; /* of config and job */
    size_t text_len;
    char heard[HEARD_BYTES]; /* S: lines not fed yet */
    size_t heard_len, heard_fed;
    bool is_playing, has_begun, is_good;
    unsigned passed, failed;
};

static const char *keep(struct player *p, struct span text)
{
    char *at = p->texts + p->text_len;
    if (p->text_len + text.len + 1 > sizeof p->texts)
        abort();
    memcpy(at, text.at, text.len);
    at[text.len] = '\0';
    p->text_len += text.len + 1;
    return at;
}

static void feed_heard(struct player *p)
{
    while (p->heard_fed < p->heard_len) {
        struct span left = span_make(p->heard + p->heard_fed, p->heard_len - p->heard_fed);
        size_t taken     = smtp_client_feed(&p->client, span_first(left, p->chunk));
        if (taken == 0)
            return;
        p->heard_fed += taken;
    }
    p->heard_fed = p->heard_len = 0;
}

static bool hear(struct player *p, struct span text, struct span end)
{
    if (text.len + end.len > sizeof p->heard - p->heard_len)
        return false;
    memcpy(p->heard + p->heard_len, text.at, text.len);
    memcpy(p->heard + p->heard_len + text.len, end.at, end.len);
    p->heard_len += text.len + end.len;
    return true;
}

static bool goes_out(struct smtp_client *c, struct span text, struct span end)
{
    struct span out = smtp_output_first(c);
    if (!span_starts(out, text) || !span_starts(span_skip(out, text.len), end))
        return false;
    smtp_client_wrote(c, text.len + end.len);
    return true;
}

static bool give_piece(struct player *p, struct span piece, bool is_last)
{
    if ((smtp_client_wants(&p->client) & SMTP_WANT_BODY) == 0)
        return false;
    p->piece = piece;
    smtp_client_body(&p->client, &p->piece, 1, is_last);
    return true;
}

static bool piece_in_hand_goes_out(struct player *p)
{
    struct span out = smtp_output_first(&p->client);
    if (out.at != p->piece.at || out.len != p->piece.len)
        return false;
    smtp_client_wrote(&p->client, out.len);
    return true;
}

static bool piece_goes_out(struct player *p, struct span piece, bool is_last)
{
    return give_piece(p, piece, is_last) && piece_in_hand_goes_out(p);
}

static bool text_is(struct span text, const char *got)
{
    if (span_is(text, got))
        return true;
    printf("got '%s', ", got);
    return false;
}

/* How many jobs came after it. */
static size_t jobs_after(const struct player *p, const struct smtp_job *job)
{
    size_t after = 0;
    while (after < p->job_count && &p->jobs[p->job_count - 1 - after].job != job)
        after++;
    return after;
}

static bool result_is(struct player *p, struct span text)
{
    struct smtp_client *c = &p->client;
    struct smtp_result r;
    char got[128] = "";
    if ((smtp_client_wants(c) & SMTP_WANT_RESULT) == 0 || !smtp_client_result(c, &r))
        return false;
    for (size_t n = jobs_after(p, r.job); n > 0; n--)
        strcat(got, "^ ");
    size_t len = strlen(got);
    (void)snprintf(got + len, sizeof got - len, "%zu %s %d %s%s%s", r.rcpt, causes[r.cause],
                   r.reply->code, smtp_verb_text(r.stage), r.dsn_passed ? " dsn" : "",
                   r.is_behind ? " behind" : "");
    return text_is(text, got);
}

static bool failure_is(struct smtp_client *c, struct span text)
{
    const struct smtp_failure *f = smtp_client_failure(c);
    char got[128];
    (void)snprintf(got, sizeof got, "%s %d %s", causes[f->cause], f->reply.code,
                   smtp_verb_text(f->stage));
    return text_is(text, got);
}

/* "name=value": true and the value if the name is this one. */
static bool option_is(struct span option, const char *name, struct span *value)
{
    struct span found;
    *value = option;
    return span_cut(value, '=', &found) && span_is(found, name);
}

static bool session_option(struct player *p, struct span option)
{
    struct smtp_client_config *config = &p->config;
    struct span value;
    if (span_is(option, "lmtp"))
        config->is_lmtp = true;
    else if (span_is(option, "secured"))
        config->is_secured = true;
    else if (span_is(option, "clear"))
        config->auth_in_clear = true;
    else if (option_is(option, "tls", &value))
        config->tls = span_is(value, "required") ? SMTP_TLS_REQUIRED : SMTP_TLS_OFFERED;
    else if (option_is(option, "user", &value))
        config->user = keep(p, value);
    else if (option_is(option, "password", &value))
        config->password = keep(p, value);
    else if (span_is(option, "one-by-one"))
        config->is_one_by_one = true;
    else if (option_is(option, "bdat", &value))
        config->chunk_window = (unsigned)(value.at[0] - '0');
    else if (option_is(option, "ignore", &value))
        config->ignore |= smtp_ext_bit(value);
    else
        return false;
    return true;
}

static struct player_job *newest(struct player *p)
{
    return &p->jobs[p->job_count - 1];
}

static bool set_rcpts(struct player *p, struct span list)
{
    struct player_job *j = newest(p);
    struct span address;
    j->job.rcpt_count = 0;
    while (span_cut(&list, ',', &address)) {
        if (j->job.rcpt_count == RCPTS_MAX)
            return false;
        struct envelope_rcpt *rcpt = &j->rcpts[j->job.rcpt_count++];
        rcpt->address              = keep(p, address);
        rcpt->orcpt                = "";
        rcpt->notify               = 0;
    }
    return true;
}

static bool set_notify(struct player *p, struct span value)
{
    uint64_t notify = 0;
    if (!span_to_number(value, 15, &notify))
        return false;
    struct player_job *j = newest(p);
    for (size_t i = 0; i < j->job.rcpt_count; i++)
        j->rcpts[i].notify = (uint8_t)notify;
    return true;
}

static bool job_option(struct player *p, struct span option)
{
    struct envelope *e = &newest(p)->job.envelope;
    struct span value;
    if (span_is(option, "8bit"))
        return e->is_8bit = true;
    if (span_is(option, "utf8"))
        return e->needs_utf8 = true;
    if (option_is(option, "from", &value))
        return (e->sender = keep(p, value)) != NULL;
    if (option_is(option, "envid", &value))
        return (e->envid = keep(p, value)) != NULL;
    if (option_is(option, "orcpt", &value))
        return (newest(p)->rcpts[0].orcpt = keep(p, value)) != NULL;
    if (option_is(option, "to", &value))
        return set_rcpts(p, value);
    if (option_is(option, "size", &value))
        return span_to_number(value, UINT64_MAX, &newest(p)->job.size_bytes);
    if (option_is(option, "notify", &value))
        return set_notify(p, value);
    e->ret = span_is(option, "ret=full") ? RET_FULL : RET_HDRS;
    return span_starts(option, span_of("ret="));
}

static bool hand_over(struct player *p, struct span options, enum smtp_want want)
{
    static const struct span two = SPAN("a@x.example,b@x.example");
    struct span option;
    if (p->job_count == JOBS_MAX)
        return false;
    struct player_job *j = &p->jobs[p->job_count++];
    j->job               = (struct smtp_job){
                      .envelope = {.sender = "s@y.example", .envid = ""},
                        .rcpts = j->rcpts
    };
    (void)set_rcpts(p, two);
    while (span_cut(&options, ' ', &option))
        if (!job_option(p, option))
            return false;
    if ((smtp_client_wants(&p->client) & want) == 0)
        return false;
    smtp_client_send(&p->client, &j->job);
    return true;
}

static bool set_options(struct player *p, struct span options)
{
    struct span option;
    while (span_cut(&options, ' ', &option))
        if (!session_option(p, option))
            return false;
    smtp_client_init(&p->client, &p->config);
    return true;
}

static bool secure(struct player *p)
{
    if (smtp_client_wants(&p->client) != SMTP_WANT_TLS || p->heard_fed < p->heard_len)
        return false;
    smtp_client_secured(&p->client);
    return true;
}

static bool step(struct player *p, char kind, struct span text)
{
    static const struct span crlf = SPAN("\r\n"), nothing = SPAN("");
    struct smtp_client *c = &p->client;
    char line[SCRIPT_LINE_BYTES];
    if (kind == 'S' || kind == 's')
        return hear(p, text, kind == 'S' ? crlf : nothing);
    feed_heard(p);
    switch (kind) {
    case 'O':
        return set_options(p, text);
    case 'C':
        return goes_out(c, text, crlf);
    case 'B':
        return piece_goes_out(p, body, true);
    case 'K':
        (void)snprintf(line, sizeof line, "%.*s\r\n", (int)text.len, text.at);
        return piece_goes_out(p, span_of(line), true);
    case 'P':
        (void)snprintf(line, sizeof line, "%.*s\r\n", (int)text.len, text.at);
        return piece_goes_out(p, span_of(line), false);
    case 'U':
        return give_piece(p, body, true);
    case 'W':
        return piece_in_hand_goes_out(p);
    case 'R':
        return result_is(p, text);
    case 'F':
        return failure_is(c, text);
    case 'J':
        return hand_over(p, text, SMTP_WANT_JOB);
    case 'N':
        return hand_over(p, text, SMTP_WANT_NEXT);
    case 'T':
        return secure(p);
    case 'Q':
        smtp_client_quit(c);
        return true;
    case 'X':
        smtp_client_lost(c);
        return true;
    case 'A':
        smtp_client_abandon(c);
        return true;
    case 'I':
        return smtp_client_wants(c) == (SMTP_WANT_JOB | SMTP_WANT_READ);
    case 'D':
        return smtp_client_wants(c) == SMTP_WANT_CLOSE;
    default:
        return false;
    }
}

static void complain(struct player *p, const char *what)
{
    struct span out = smtp_output_first(&p->client);
    printf("%s:%zu: in chunks of %zu: %s; wants %u, output is '%.*s'\n", p->script.file,
           p->script.line, p->chunk, what, smtp_client_wants(&p->client), (int)out.len, out.at);
    p->is_good = false;
}

static void begin(struct player *p)
{
    p->config    = (struct smtp_client_config){.helo = "me.example"};
    p->text_len  = 0;
    p->job_count = 0;
    p->heard_len = p->heard_fed = 0;
    p->is_playing = p->is_good = true;
    smtp_client_init(&p->client, &p->config);
}

static void finish(struct player *p)
{
    struct smtp_result r;
    if (!p->is_playing)
        return;
    feed_heard(p);
    if (p->is_good && (smtp_client_wants(&p->client) & SMTP_WANT_WRITE) != 0)
        complain(p, "unexpected output");
    if (p->is_good && smtp_client_result(&p->client, &r))
        complain(p, "unexpected result");
    *(p->is_good ? &p->passed : &p->failed) += 1;
}

static void play(struct player *p)
{
    script_rewind(&p->script);
    p->is_playing = false;
    while (script_next(&p->script)) {
        if (p->script.kind == '#') {
            finish(p);
            begin(p);
        } else if (p->is_playing && p->is_good) {
            if (!step(p, p->script.kind, p->script.content))
                complain(p, "not so");
        }
    }
    finish(p);
}

int main(int argc, char **argv)
{
    static struct player p;
    glob_t found;
    const char *pattern = argc > 1 ? argv[1] : "tests/golden/client_*.smtp";
    if (glob(pattern, 0, NULL, &found) != 0) {
        printf("no transcripts: %s\n0 passed, 1 failed\n", pattern);
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (!script_open(&p.script, found.gl_pathv[i])) {
            printf("cannot read %s\n", found.gl_pathv[i]);
            p.failed++;
            continue;
        }
        for (p.chunk = 1; p.chunk <= CHUNK_BYTES_MAX; p.chunk++)
            play(&p);
    }
    globfree(&found);
    printf("%u passed, %u failed\n", p.passed, p.failed);
    return p.failed != 0;
}
