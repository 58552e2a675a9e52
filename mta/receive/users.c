/* SPDX-License-Identifier: MIT */
/*
 * The file as values, and back.  Comments and the order of lines are kept, so that an administrator
 * finds his own notes again.
 */
#include "mta/receive/users.h"
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/address.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include "mta/sys/clock.h"
#include <stdio.h>
#include <string.h>

enum { ERRORS_MAX = 20, QUOTE_BYTES_MAX = 60 };

static const char key_word[] = ":key";

struct users *users_new(void)
{
    struct users *users = mem_new(sizeof *users);
    uint64_t seed;
    clock_random(&seed, sizeof seed);
    table_init(&users->by_name, seed);
    list_init(&users->in_file);
    return users;
}

void users_free(struct users *users)
{
    if (users == NULL)
        return;
    table_release(&users->by_name);
    arena_release(&users->arena);
    password_wipe(users, sizeof *users);
    mem_free(users);
}

/* --- names --- */

const char *user_prepare_name(const char *name, struct buf *into)
{
    size_t start        = into->len;
    const char *problem = password_prepare(name, true, into);
    if (problem != NULL)
        return problem;
    if (into->len - start > USER_NAME_BYTES_MAX)
        return "it is too long";
    for (size_t i = start; i < into->len; i++) {
        into->at[i] = ascii_lower(into->at[i]);
        if (into->at[i] == ' ')
            return "it holds a space";
    }
    return strchr("#:", into->at[start]) == NULL ? NULL : "it begins with # or :";
}

struct user *users_find(const struct users *users, const char *name)
{
    struct buf prepared     = {0};
    struct table_node *node = NULL;
    if (user_prepare_name(name, &prepared) == NULL)
        node = table_find(&users->by_name, buf_span(&prepared));
    buf_release(&prepared);
    return node == NULL ? NULL : CONTAINER_OF(node, struct user, by_name);
}

struct user *users_add(struct users *users, const char *name)
{
    struct user *user = arena_new(&users->arena, sizeof *user);
    user->name        = arena_text(&users->arena, span_of(name));
    table_insert(&users->by_name, &user->by_name, span_of(user->name));
    list_push(&users->in_file, &user->in_file);
    users->count++;
    return user;
}

void users_remove(struct users *users, struct user *user)
{
    table_remove(&users->by_name, &user->by_name);
    list_remove(&user->in_file);
    users->count--;
}

void user_set_password(struct users *users, struct user *user, const char *prepared)
{
    char hash[PASSWORD_HASH_BYTES];
    password_hash(prepared, hash);
    user->hash = arena_text(&users->arena, span_of(hash));
    password_scram(prepared, &user->scram);
}

/* --- senders --- */

static bool is_domain(struct span domain)
{
    char ascii[DOMAIN_BYTES_MAX + 1];
    return domain_canonical(domain, ascii);
}

/* What would end the word or the entry cannot stand in it. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' && text.at[i] >= 0)
            return false;
    return span_find(text, ',') == text.len;
}

const char *user_add_sender(struct users *users, struct user *user, struct span sender)
{
    static const char *const wanted = "an address, @domain or *";
    struct address address;
    char domain[DOMAIN_BYTES_MAX + 2] = "@";
    if (!is_plain(sender) || sender.len == 0)
        return wanted;
    if (user->sender_count == USER_SENDERS_MAX)
        return "one of at most 100";
    if (sender.at[0] == '@') {
        if (!is_domain(span_skip(sender, 1)))
            return wanted;
        (void)domain_canonical(span_skip(sender, 1), domain + 1);
        sender = span_of(domain);
    } else if (!span_is(sender, "*")) {
        if (address_parse(sender, true, &address) != NULL)
            return wanted;
        sender = span_make(address.text, address.len);
    }
    user->senders[user->sender_count++] = arena_text(&users->arena, sender);
    return NULL;
}

void user_clear_senders(struct user *user)
{
    user->sender_count = 0;
}

static bool is_same_domain(struct span a, struct span b)
{
    char one[DOMAIN_BYTES_MAX + 1], other[DOMAIN_BYTES_MAX + 1];
    if (span_equals_nocase(a, b))
        return true;
    return domain_canonical(a, one) && domain_canonical(b, other) && strcmp(one, other) == 0;
}

/* Local parts: the same, or the same with a tag behind a '+'. */
static bool is_local_of(struct span local, struct span own)
{
    return span_starts_nocase(local, own) && (local.len == own.len || local.at[own.len] == '+');
}

static bool covers(const char *sender, struct span address)
{
    struct span own = span_of(sender), domain = address_domain(address);
    if (span_is(own, "*"))
        return true;
    if (own.at[0] == '@')
        return is_same_domain(domain, span_skip(own, 1));
    return is_same_domain(domain, address_domain(own)) &&
           is_local_of(address_local(address), address_local(own));
}

static bool is_address(const char *text)
{
    struct address address;
    return address_parse(span_of(text), true, &address) == NULL;
}

bool user_may_send_as(const struct user *user, struct span address)
{
    if (is_address(user->name) && covers(user->name, address))
        return true;
    for (size_t i = 0; i < user->sender_count; i++)
        if (covers(user->senders[i], address))
            return true;
    return false;
}

const char *user_own_address(const struct user *user)
{
    if (is_address(user->name))
        return user->name;
    for (size_t i = 0; i < user->sender_count; i++)
        if (strchr("@*", user->senders[i][0]) == NULL)
            return user->senders[i];
    return NULL;
}

/* --- reading --- */

struct reader {
    struct users *users;
    const char *file;
    struct buf *error;
    size_t line;
    unsigned errors;
};

static void complain(struct reader *r, const char *what, struct span quoted, const char *wanted)
{
    if (++r->errors > ERRORS_MAX)
        return;
    buf_printf(r->error, "%s:%zu: %s '", r->file, r->line, what);
    escape_text(quoted, QUOTE_BYTES_MAX, r->error);
    buf_printf(r->error, "' should be %s\n", wanted);
}

/* Takes the value of a word; NULL when good, else what it should be. */
typedef const char *take_fn(struct reader *r, struct user *user, struct span value);

static const char *take_password(struct reader *r, struct user *user, struct span value)
{
    user->hash = arena_text(&r->users->arena, value);
    return password_hash_is_good(user->hash) ? NULL : "a hash of crypt(3), like $y$...";
}

static const char *take_scram(struct reader *r, struct user *user, struct span value)
{
    (void)r;
    return scram_parse(value, &user->scram)
               ? NULL
               : "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, 4096 iterations at least";
}

static const char *take_from(struct reader *r, struct user *user, struct span value)
{
    struct span sender;
    const char *wanted = value.len == 0 ? "an address, @domain or *" : NULL;
    while (wanted == NULL && span_cut(&value, ',', &sender))
        wanted = user_add_sender(r->users, user, sender);
    return wanted;
}

static const char *take_messages(struct reader *r, struct user *user, struct span value)
{
    (void)r;
    user->has_messages = true;
    return quota_limits_parse(value, &user->messages) ? NULL : "like 100/h,1000/d, or none";
}

static const char *take_recipients(struct reader *r, struct user *user, struct span value)
{
    (void)r;
    user->has_recipients = true;
    return quota_limits_parse(value, &user->recipients) ? NULL : "like 1000/h,20000/d, or none";
}

static const char *take_disabled(struct reader *r, struct user *user, struct span value)
{
    (void)r;
    user->is_disabled = true;
    return value.at == NULL ? NULL : "the word disabled alone";
}

static const struct word {
    const char *key;
    take_fn *take;
} words[] = {
    {"password",   take_password  },
    {"scram",      take_scram     },
    {"from",       take_from      },
    {"messages",   take_messages  },
    {"recipients", take_recipients},
    {"disabled",   take_disabled  },
    {NULL,         NULL           },
};

static void read_word(struct reader *r, struct user *user, struct span word, unsigned *seen)
{
    struct span key   = span_first(word, span_find(word, '='));
    struct span value = key.len == word.len ? (struct span){NULL, 0} : span_skip(word, key.len + 1);
    const struct word *to = words;
    while (to->key != NULL && !span_is(key, to->key))
        to++;
    unsigned bit = 1U << (to - words);
    if (to->key == NULL || (*seen & bit) != 0) {
        complain(r, "the word", key,
                 "password=, scram=, from=, messages=, recipients= or disabled, "
                 "each once");
        return;
    }
    *seen |= bit;
    const char *wanted = to->take(r, user, value);
    if (wanted != NULL && to->take == take_password)
        complain(r, "the password of", span_of(user->name),
                 wanted); /* not what may be clear text */
    else if (wanted != NULL)
        complain(r, to->key, value, wanted);
}

static bool name_is_good(struct reader *r, struct span name)
{
    char text[USER_NAME_BYTES_MAX + 2];
    struct buf prepared = {0};
    span_copy_text(name, text, sizeof text);
    const char *problem = user_prepare_name(text, &prepared);
    bool is_kept        = problem == NULL && span_equals(buf_span(&prepared), name);
    bool is_new         = table_find(&r->users->by_name, name) == NULL;
    if (!is_kept)
        complain(r, "the name", name, "SASLprep'd UTF-8 without upper case letters or blanks");
    else if (!is_new)
        complain(r, "the name", name, "there once only");
    buf_release(&prepared);
    return is_kept && is_new;
}

static void read_user(struct reader *r, struct span line)
{
    struct span name, word;
    unsigned seen = 0;
    char text[USER_NAME_BYTES_MAX + 1];
    if (!span_cut(&line, ' ', &name) || !name_is_good(r, name))
        return;
    span_copy_text(name, text, sizeof text);
    struct user *user = users_add(r->users, text);
    while (span_cut(&line, ' ', &word))
        if (word.len > 0)
            read_word(r, user, word, &seen);
}

static void read_key(struct reader *r, struct span line)
{
    struct buf bytes = {0};
    struct span word;
    (void)span_cut(&line, ' ', &word);
    if (!span_is(word, key_word) || r->users->has_key || !base64_take(span_trim(line), &bytes) ||
        bytes.len != USERS_KEY_BYTES) {
        complain(r, "the line", word, ":key and 32 bytes in base64, once");
    } else {
        memcpy(r->users->key, bytes.at, USERS_KEY_BYTES);
        r->users->has_key = true;
    }
    buf_release(&bytes);
}

static void keep_comment(struct users *users, struct span line)
{
    struct user *comment = arena_new(&users->arena, sizeof *comment);
    comment->comment     = arena_text(&users->arena, line);
    list_push(&users->in_file, &comment->in_file);
}

static void read_line(struct reader *r, struct span line)
{
    struct span text = span_trim(line);
    if (line.len > USER_LINE_BYTES_MAX)
        complain(r, "the line", line, "shorter");
    else if (!utf8_is_printable(text))
        complain(r, "the line", line, "UTF-8 without controls: blanks are spaces");
    else if (text.len == 0 || text.at[0] == '#')
        keep_comment(r->users, text);
    else if (text.at[0] == ':')
        read_key(r, text);
    else
        read_user(r, text);
}

struct users *users_parse(struct span text, const char *file, struct buf *error)
{
    struct reader r = {.users = users_new(), .file = file, .error = error};
    struct span line;
    while (span_cut(&text, '\n', &line)) {
        r.line++;
        read_line(&r, line);
    }
    if (r.errors > ERRORS_MAX)
        buf_printf(error, "%s: and %u more\n", file, r.errors - ERRORS_MAX);
    if (r.errors == 0)
        return r.users;
    users_free(r.users);
    return NULL;
}

/* --- writing --- */

static void put_key(struct users *users, struct buf *into)
{
    if (!users->has_key)
        clock_random(users->key, sizeof users->key);
    users->has_key = true;
    buf_printf(into, "%s ", key_word);
    base64_put(into, span_make((const char *)users->key, sizeof users->key));
    buf_put_byte(into, '\n');
}

static void put_limits(const char *key, const struct quota_limits *limits, struct buf *into)
{
    buf_printf(into, " %s=", key);
    quota_limits_put(limits, into);
}

static void put_user(const struct user *user, struct buf *into)
{
    buf_put_text(into, user->name);
    if (user->hash != NULL)
        buf_printf(into, " password=%s", user->hash);
    if (user->scram.iterations > 0) {
        buf_put_text(into, " scram=");
        scram_put(&user->scram, into);
    }
    for (size_t i = 0; i < user->sender_count; i++)
        buf_printf(into, "%s%s", i == 0 ? " from=" : ",", user->senders[i]);
    if (user->has_messages)
        put_limits("messages", &user->messages, into);
    if (user->has_recipients)
        put_limits("recipients", &user->recipients, into);
    buf_printf(into, "%s\n", user->is_disabled ? " disabled" : "");
}

void users_write(struct users *users, struct buf *into)
{
    bool has_begun = false; /* notes at the top stay there, the key comes behind them */
    for (struct list *n = list_first(&users->in_file); n != NULL;
         n              = list_next(&users->in_file, n)) {
        const struct user *line = CONTAINER_OF(n, struct user, in_file);
        if (line->comment != NULL) {
            buf_printf(into, "%s\n", line->comment);
            continue;
        }
        if (!has_begun)
            put_key(users, into);
        has_begun = true;
        put_user(line, into);
    }
    if (!has_begun)
        put_key(users, into);
}
