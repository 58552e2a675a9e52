/* SPDX-License-Identifier: MIT */
#include "mta/receive/checks.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/base/table.h"
#include "mta/receive/password.h"
#include "mta/sys/clock.h"
#include "mta/sys/crew.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { KEY_BYTES = 32, TAG_BYTES = 32 };

/* A password that was right. */
struct remembered {
    struct table_node by_tag;
    struct list in_recent; /* the oldest first */
    char tag[TAG_BYTES];
    uint64_t until_ms;
};

struct checks {
    struct crew *crew;
    unsigned char key[KEY_BYTES];
    struct table by_tag;
    struct list recent;
    struct list waiting; /* given to the crew */
};

struct check {
    struct work work;
    struct list in_waiting;
    void *owner;
    bool is_somebody;
    bool is_right; /* the crew's */
    char tag[TAG_BYTES];
    char hash[PASSWORD_HASH_BYTES];
    size_t password_len;
    char password[];
};

static void forget(struct checks *c, struct remembered *r)
{
    table_remove(&c->by_tag, &r->by_tag);
    list_remove(&r->in_recent);
    mem_free(r);
}

struct checks *checks_open(struct loop *loop)
{
    struct checks *c = mem_new(sizeof *c);
    uint64_t seed;
    c->crew = crew_open(loop, 0);
    clock_random(c->key, sizeof c->key);
    clock_random(&seed, sizeof seed);
    table_init(&c->by_tag, seed);
    list_init(&c->recent);
    list_init(&c->waiting);
    return c;
}

static void check_free(struct check *check)
{
    list_remove(&check->in_waiting);
    password_wipe(check->password, check->password_len);
    mem_free(check);
}

void checks_close(struct checks *c)
{
    struct list *node;
    crew_close(c->crew);
    while ((node = list_first(&c->waiting)) != NULL)
        check_free(CONTAINER_OF(node, struct check, in_waiting));
    while ((node = list_first(&c->recent)) != NULL)
        forget(c, CONTAINER_OF(node, struct remembered, in_recent));
    table_release(&c->by_tag);
    password_wipe(c->key, sizeof c->key);
    mem_free(c);
}

/* --- what was right --- */

/* With the hash in it, so that a new password makes the old one wrong at once. */
static void make_tag(const struct checks *c, struct span user, const char *hash,
                     const char *password, char into[TAG_BYTES])
{
    struct buf text = {0};
    unsigned len    = 0;
    (void)buf_reserve(&text, user.len + strlen(hash) + strlen(password) + 2); /* it never moves */
    buf_put(&text, user);
    buf_put_byte(&text, '\0');
    buf_put_text(&text, hash);
    buf_put_byte(&text, '\0');
    buf_put_text(&text, password);
    must(HMAC(EVP_sha256(), c->key, sizeof c->key, (const unsigned char *)text.at, text.len,
              (unsigned char *)into, &len) != NULL &&
         len == TAG_BYTES);
    password_wipe(text.at, text.len);
    buf_release(&text);
}

static struct remembered *find(struct checks *c, const char tag[TAG_BYTES])
{
    struct table_node *node = table_find(&c->by_tag, span_make(tag, TAG_BYTES));
    return node == NULL ? NULL : CONTAINER_OF(node, struct remembered, by_tag);
}

static bool is_remembered(struct checks *c, const char tag[TAG_BYTES], uint64_t now_ms)
{
    struct remembered *r = find(c, tag);
    if (r != NULL && r->until_ms <= now_ms) {
        forget(c, r);
        r = NULL;
    }
    return r != NULL;
}

static void remember(struct checks *c, const char tag[TAG_BYTES], uint64_t now_ms)
{
    struct remembered *r = find(c, tag);
    if (r == NULL) {
        if (c->by_tag.count >= CHECKS_REMEMBERED_MAX)
            forget(c, CONTAINER_OF(list_first(&c->recent), struct remembered, in_recent));
        r = mem_new(sizeof *r);
        memcpy(r->tag, tag, sizeof r->tag);
        table_insert(&c->by_tag, &r->by_tag, span_make(r->tag, sizeof r->tag));
    }
    list_move(&c->recent, &r->in_recent);
    r->until_ms = now_ms + CHECKS_REMEMBERED_MS;
}

/* --- comparing --- */

/* A thread of the crew. */
static void compare(struct work *work)
{
    struct check *check = CONTAINER_OF(work, struct check, work);
    check->is_right     = password_matches(check->password, check->hash) && check->is_somebody;
    password_wipe(check->password, check->password_len);
}

static struct check *check_new(const char *hash, const char *password, void *owner)
{
    size_t len          = strlen(password);
    struct check *check = mem_new(sizeof *check + len + 1);
    check->work.run     = compare;
    check->owner        = owner;
    check->is_somebody  = hash != NULL;
    check->password_len = len;
    memcpy(check->password, password, len);
    span_copy_text(span_of(hash != NULL ? hash : password_no_hash()), check->hash,
                   sizeof check->hash);
    return check;
}

enum check_start checks_begin(struct checks *c, struct span user, const char *hash,
                              const char *password, void *owner, uint64_t now_ms,
                              struct check **check)
{
    char tag[TAG_BYTES];
    make_tag(c, user, hash != NULL ? hash : password_no_hash(), password, tag);
    if (is_remembered(c, tag, now_ms))
        return CHECK_RIGHT;
    if (crew_load(c->crew) >= CHECKS_WAITING_MAX)
        return CHECK_FULL;
    *check = check_new(hash, password, owner);
    memcpy((*check)->tag, tag, sizeof tag);
    list_push(&c->waiting, &(*check)->in_waiting);
    crew_give(c->crew, &(*check)->work);
    return CHECK_BEGUN;
}

void checks_disown(struct check *check)
{
    check->owner = NULL;
}

bool checks_take(struct checks *c, uint64_t now_ms, struct check_done *done)
{
    struct work *work = crew_take(c->crew);
    if (work == NULL)
        return false;
    struct check *check = CONTAINER_OF(work, struct check, work);
    *done               = (struct check_done){check->owner, check->is_right};
    if (check->is_right)
        remember(c, check->tag, now_ms);
    check_free(check);
    return true;
}
