/* SPDX-License-Identifier: MIT */
/*
 * A directive is a row: its first word, how many words must follow, and what it does.  A named
 * personality is a personality like any other, and the built-in ones are lines of the same
 * language.
 */
#include "bench/scenario.h"
#include "bench/generate.h"
#include "bench/units.h"
#include <string.h>

enum { LINE_BYTES_MAX = 4096, PREFERENCE_DEFAULT = 10, PREFERENCE_MAX = 65535 };

static const char built_in[] = "personality accept\n"
                               "personality greylist greylist=2s\n"
                               "personality unknown unknown=10%\n"
                               "personality full full=10%\n"
                               "personality defer defer=20%\n"
                               "personality tarpit tarpit=100ms\n"
                               "personality latency latency=20ms\n"
                               "personality few-messages messages=10\n"
                               "personality few-connections connections=2\n"
                               "personality no-starttls starttls=no\n"
                               "personality broken-starttls starttls=garbage\n"
                               "personality no-pipelining no-pipelining\n"
                               "personality no-esmtp no-esmtp\n"
                               "personality chunking chunking\n"
                               "personality chunking-stall chunking at-bdat=silent\n"
                               "personality chunking-refused chunking "
                               "\"at-bdat=502 5.5.1 no chunks here\"\n"
                               "personality drop-behind drop-behind\n"
                               "personality drop-after-dot at-dot=drop every=3\n"
                               "personality dead dead\n"
                               "personality blackhole blackhole\n"
                               "personality refuse \"at-greeting=554 5.7.1 no mail from you\"\n"
                               "personality busy \"at-greeting=421 4.3.2 try later\" times=2\n"
                               "personality servfail dns=servfail\n"
                               "personality nxdomain dns=nxdomain\n"
                               "personality null-mx dns=null-mx\n"
                               "personality implicit dns=implicit\n";

struct named {
    struct table_node by_name;
    struct personality p;
};

struct directive {
    const char *name;
    bool (*run)(struct scenario *s, struct span name, struct span *line, struct buf *error);
};

void scenario_init(struct scenario *s, struct world *world, uint64_t seed)
{
    struct buf error = {0};
    memset(s, 0, sizeof *s);
    s->world = world;
    table_init(&s->personalities, 4);
    rng_seed(&s->rng, seed);
    (void)scenario_read(s, span_of(built_in), &error);
    buf_release(&error);
}

void scenario_release(struct scenario *s)
{
    table_release(&s->personalities);
    arena_release(&s->arena);
}

bool scenario_word(struct span *line, char *scratch, struct span *word)
{
    *line          = span_trim(*line);
    size_t n       = 0;
    bool in_quotes = false, any = line->len > 0;
    while (line->len > 0 && (in_quotes || (line->at[0] != ' ' && line->at[0] != '\t'))) {
        if (line->at[0] == '"')
            in_quotes = !in_quotes;
        else
            scratch[n++] = line->at[0];
        *line = span_skip(*line, 1);
    }
    *word = span_make(scratch, n);
    return any;
}

const struct personality *scenario_personality(const struct scenario *s, struct span name)
{
    struct table_node *node = table_find(&s->personalities, name);
    return node == NULL ? NULL : &CONTAINER_OF(node, struct named, by_name)->p;
}

/* A key, or the name of a personality. */
static bool apply(struct scenario *s, struct personality *p, struct span word, struct buf *error)
{
    const struct personality *named = scenario_personality(s, word);
    if (named != NULL && span_find(word, '=') == word.len) {
        personality_merge(p, named);
        return true;
    }
    return personality_set(p, &s->world->arena, word, error);
}

static bool run_personality(struct scenario *s, struct span name, struct span *line,
                            struct buf *error)
{
    struct personality p = {0};
    char scratch[LINE_BYTES_MAX];
    struct span word;
    while (scenario_word(line, scratch, &word))
        if (!apply(s, &p, word, error))
            return false;
    if (scenario_personality(s, name) != NULL) {
        buf_put_text(error, "there is a personality of that name");
        return false;
    }
    struct named *named = arena_new(&s->arena, sizeof *named);
    named->p            = p;
    table_insert(&s->personalities, &named->by_name,
                 span_make(arena_text(&s->arena, name), name.len));
    return true;
}

bool scenario_apply_host(struct scenario *s, struct host *host, struct span word, struct buf *error)
{
    return apply(s, &host->p, word, error);
}

static bool take_addresses(struct host *host, struct span list, struct buf *error)
{
    struct span address;
    host->address_count = 0;
    while (span_cut(&list, ',', &address))
        if (!world_add_address(host, address)) {
            buf_printf(error, "'%.*s' is no address, or there are too many", (int)address.len,
                       address.at);
            return false;
        }
    return true;
}

/* No key begins with a digit or a colon. */
static bool looks_like_address(struct span word)
{
    return word.len > 0 && (ascii_is_digit(word.at[0]) || word.at[0] == ':');
}

static bool run_host(struct scenario *s, struct span name, struct span *line, struct buf *error)
{
    struct host *host = world_host(s->world, name);
    char scratch[LINE_BYTES_MAX];
    struct span word, rest = *line;
    if (scenario_word(&rest, scratch, &word) && looks_like_address(word)) {
        if (!take_addresses(host, word, error))
            return false;
        *line = rest;
    }
    if (host->address_count == 0) {
        buf_put_text(error, "a new host needs an address");
        return false;
    }
    while (scenario_word(line, scratch, &word))
        if (!scenario_apply_host(s, host, word, error))
            return false;
    return true;
}

/* "10:mx1.example,20:mx2.example" */
static bool take_mx(struct scenario *s, struct domain *domain, struct span list, struct buf *error)
{
    struct span item;
    domain->mx_count = 0;
    while (span_cut(&list, ',', &item)) {
        uint64_t preference = PREFERENCE_DEFAULT;
        size_t colon        = span_find(item, ':');
        struct span host    = colon < item.len ? span_skip(item, colon + 1) : item;
        if ((colon < item.len &&
             !span_to_number(span_first(item, colon), PREFERENCE_MAX, &preference)) ||
            !world_add_mx(s->world, domain, host, (unsigned)preference)) {
            buf_printf(error, "'%.*s' is no MX, or there are too many", (int)item.len, item.at);
            return false;
        }
    }
    return true;
}

void scenario_give_host(struct scenario *s, struct domain *domain)
{
    struct buf name = {0};
    bool implicit   = domain->p.dns == DNS_IMPLICIT;
    buf_printf(&name, "%s%.*s", implicit ? "" : "mx.", (int)domain->by_name.key.len,
               domain->by_name.key.at);
    struct host *host = world_host(s->world, buf_span(&name));
    if (host->address_count == 0)
        world_choose_address(s->world, host);
    if (!implicit)
        (void)world_add_mx(s->world, domain, buf_span(&name), PREFERENCE_DEFAULT);
    buf_release(&name);

    personality_merge(&host->p, &domain->p);
    host->p.dns = DNS_NORMAL; /* the fault is the domain's */
}

bool scenario_apply_domain(struct scenario *s, struct domain *domain, struct span word,
                           struct buf *error)
{
    if (span_starts(word, span_of("mx=")))
        return take_mx(s, domain, span_skip(word, 3), error);
    return apply(s, &domain->p, word, error);
}

static bool run_domain(struct scenario *s, struct span name, struct span *line, struct buf *error)
{
    struct domain *domain = world_domain(s->world, name);
    char scratch[LINE_BYTES_MAX];
    struct span word;
    while (scenario_word(line, scratch, &word))
        if (!scenario_apply_domain(s, domain, word, error))
            return false;
    if (domain->mx_count == 0) {
        scenario_give_host(s, domain);
    } else if (personality_rules_host(&domain->p)) {
        buf_put_text(error, "a domain with mx= cannot say how its hosts behave: use 'host'");
        return false;
    }
    return true;
}

static bool run_alias(struct scenario *s, struct span name, struct span *line, struct buf *error)
{
    char scratch[LINE_BYTES_MAX];
    struct span target, word;
    struct alias *alias = world_alias(s->world, name);
    alias->ttl_s        = PERSONALITY_TTL_S;
    if (!scenario_word(line, scratch, &target)) {
        buf_put_text(error, "an alias needs a target");
        return false;
    }
    alias->target = world_name(s->world, target);
    while (scenario_word(line, scratch, &word))
        if (!span_starts(word, span_of("ttl=")) ||
            !units_number(span_skip(word, 4), &alias->ttl_s)) {
            buf_printf(error, "'%.*s' is nothing that an alias has", (int)word.len, word.at);
            return false;
        }
    return true;
}

static bool run_generate(struct scenario *s, struct span count, struct span *line,
                         struct buf *error)
{
    struct generate_plan plan;
    char scratch[LINE_BYTES_MAX];
    struct span word;
    generate_plan_init(&plan);
    if (!units_number(count, &plan.count)) {
        buf_put_text(error, "generate needs a number of domains");
        return false;
    }
    while (scenario_word(line, scratch, &word))
        if (!generate_plan_set(&plan, s, word, error))
            return false;
    generate_domains(&plan, s);
    return true;
}

static const struct directive directives[] = {
    {"personality", run_personality},
    {"host",        run_host       },
    {"domain",      run_domain     },
    {"alias",       run_alias      },
    {"generate",    run_generate   },
};

static bool run_line(struct scenario *s, struct span line, struct buf *error)
{
    char scratch[LINE_BYTES_MAX], second[LINE_BYTES_MAX];
    struct span word, name;
    if (line.len >= LINE_BYTES_MAX) {
        buf_put_text(error, "the line is too long");
        return false;
    }
    if (!scenario_word(&line, scratch, &word) || word.at[0] == '#')
        return true;
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (!span_is(word, directives[i].name))
            continue;
        if (scenario_word(&line, second, &name) && name.len > 0 &&
            name.len <= WORLD_NAME_BYTES_MAX && name.at[0] != '.')
            return directives[i].run(s, name, &line, error);
        buf_printf(error, "'%s' needs a name", directives[i].name);
        return false;
    }
    buf_printf(error, "unknown directive '%.*s'", (int)word.len, word.at);
    return false;
}

bool scenario_read(struct scenario *s, struct span text, struct buf *error)
{
    struct span line;
    for (unsigned number = 1; span_cut(&text, '\n', &line); number++) {
        struct buf what = {0};
        bool ok         = run_line(s, span_trim(line), &what);
        if (!ok)
            buf_printf(error, "line %u: %s", number, buf_text(&what));
        buf_release(&what);
        if (!ok)
            return false;
    }
    return true;
}
