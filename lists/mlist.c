/* SPDX-License-Identifier: MIT */
#include "lists/mlist.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/escape.h"
#include <inttypes.h>
#include <stdio.h>

#define AT(member) offsetof(struct mlist, member)
/* A row a key, its help below it. */
/* clang-format off */
const struct mlist_setting mlist_settings[] = {
    {"kind", MLIST_CHOICE, AT(kind), "announce discussion", "announce",
     "announce: mail from its owners; discussion: members talk to each other."},
    {"title", MLIST_LINE, AT(title), NULL, "",
     "A few words for people: in List-Id and on pages."},
    {"post", MLIST_CHOICE, AT(post), "by-kind owners members", "by-kind",
     "Who may post: owners and posters only, or members too. By kind: members of a discussion."},
    {"from", MLIST_CHOICE, AT(from), "by-kind keep list", "by-kind",
     "keep: the author stays in From; list: the list stands there and the author in Reply-To, as "
     "DMARC needs it when the author's domain does not sign for us. By kind: list for a discussion."},
    {"reply-to", MLIST_CHOICE, AT(reply), "keep author list", "keep",
     "Where replies go: as the author said, to the author, or to the list."},
    {"prefix", MLIST_LINE, AT(prefix), NULL, "",
     "Put before each subject, like [dogs]."},
    {"footer", MLIST_TEXT, AT(footer), NULL, "",
     "A text below each post. With merge, {{unsubscribe_url}} and other placeholders may stand in it."},
    {"merge", MLIST_CHOICE, AT(merge), "no yes", "no",
     "Whether placeholders in the text of a post, like {{name}}, are filled in for each member."},
    {"to", MLIST_CHOICE, AT(to), "list member", "list",
     "Who stands in To: the list, or each member by name and address; that needs merge."},
    {"archive-url", MLIST_URL, AT(archive), NULL, "",
     "Address of the archive, for List-Archive."},
    {"help-url", MLIST_URL, AT(help), NULL, "",
     "Address of a page of help, for List-Help."},
    {"size", MLIST_SIZE, AT(message_bytes_max), NULL, "0",
     "Largest post in bytes, or like 500k. 0: as large as the server takes."},
    {NULL, MLIST_TEXT, 0, NULL, NULL, NULL},
};
/* clang-format on */

static const char *const sub_addresses[] = {"-bounces",     "-leave",   "-join",
                                            "-subscribe",   "-owner",   "-request",
                                            "-unsubscribe", "-confirm", "-admin"};

const char *mlist_check_address(struct span text, char into[PERSON_ADDRESS_BYTES_MAX + 1])
{
    if (!person_canonical(text, into))
        return "an address like dogs@lists.example.org";
    struct span local = address_local(span_of(into));
    if (local.len > MLIST_LOCAL_BYTES_MAX)
        return "shorter: at most 40 bytes before the '@'";
    for (size_t i = 0; i < local.len; i++)
        if (!ascii_is_alnum(local.at[i]) && strchr("._-", local.at[i]) == NULL)
            return "made of letters, digits, '.', '_' and '-' before the '@'";
    for (size_t i = 0; i < sizeof sub_addresses / sizeof sub_addresses[0]; i++)
        if (span_ends_nocase(local, span_of(sub_addresses[i])))
            return "another name: -bounces, -leave, -join, -subscribe, -unsubscribe, -confirm, "
                   "-owner, -admin and -request at its end belong to the list before them";
    return NULL;
}

/* --- values --- */

static bool find_choice(const char *choices, struct span value, unsigned *index)
{
    struct span rest = span_of(choices), word;
    for (unsigned i = 0; span_cut(&rest, ' ', &word); i++) {
        if (!span_equals(word, value))
            continue;
        *index = i;
        return true;
    }
    return false;
}

/* "500k", "2M" (powers of 1024), or bytes. */
static bool parse_size(struct span text, uint64_t *bytes)
{
    char unit      = text.len > 0 ? ascii_lower(text.at[text.len - 1]) : '0';
    unsigned shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    if (!span_to_number(span_first(text, text.len - (shift > 0)), UINT32_MAX, bytes))
        return false;
    *bytes <<= shift;
    return true;
}

static bool is_text(struct span value, bool may_have_lines)
{
    while (value.len > 0) {
        uint32_t point = 0;
        size_t n       = utf8_decode(value, &point);
        bool is_line   = n == 1 && (point == '\n' || point == '\t');
        if (n == 0 || (utf8_is_control(point) && !(may_have_lines && is_line)))
            return false;
        value = span_skip(value, n);
    }
    return true;
}

static bool is_url(struct span value)
{
    static const struct span https = SPAN("https://"), http = SPAN("http://"),
                             mailto = SPAN("mailto:");
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] <= ' ' || value.at[i] >= 0x7f || strchr("<>\",", value.at[i]) != NULL)
            return false;
    return span_starts(value, https) || span_starts(value, http) || span_starts(value, mailto);
}

static const char *check_value(const struct mlist_setting *setting, struct span value)
{
    unsigned index;
    uint64_t bytes;
    if (value.len == 0)
        return NULL; /* the default again */
    if (value.len > MLIST_TEXT_BYTES_MAX)
        return "shorter: at most 8192 bytes";
    switch (setting->value) {
    case MLIST_TEXT:
        return is_text(value, true) ? NULL : "a text in UTF-8 without control characters";
    case MLIST_LINE:
        return value.len <= PERSON_NAME_BYTES_MAX && is_text(value, false)
                   ? NULL
                   : "one line of UTF-8, at most 200 bytes";
    case MLIST_URL:
        return is_url(value) ? NULL : "an address that begins with https://, http:// or mailto:";
    case MLIST_CHOICE:
        return find_choice(setting->choices, value, &index) ? NULL : setting->choices;
    case MLIST_SIZE:
        return parse_size(value, &bytes) ? NULL : "a size like 500k or 2M";
    }
    return NULL;
}

static const struct mlist_setting *find_setting(const char *key)
{
    for (const struct mlist_setting *s = mlist_settings; s->key != NULL; s++)
        if (strcmp(s->key, key) == 0)
            return s;
    return NULL;
}

const char *mlist_check(const char *key, struct span value)
{
    const struct mlist_setting *setting = find_setting(key);
    return setting == NULL ? "a key that there is" : check_value(setting, value);
}

static void assign(struct mlist *list, const struct mlist_setting *setting, struct span value)
{
    void *into = (char *)list + setting->offset;
    switch (setting->value) {
    case MLIST_TEXT:
    case MLIST_LINE:
    case MLIST_URL:
        *(const char **)into = arena_text(&list->arena, value);
        return;
    case MLIST_CHOICE:
        (void)find_choice(setting->choices, value, into);
        return;
    case MLIST_SIZE:
        (void)parse_size(value, into);
        return;
    }
}

void mlist_value_text(const struct mlist *list, const struct mlist_setting *setting,
                      struct buf *into)
{
    const void *from = (const char *)list + setting->offset;
    struct span rest = span_of(setting->choices), word;
    switch (setting->value) {
    case MLIST_TEXT:
    case MLIST_LINE:
    case MLIST_URL:
        buf_put_text(into, *(const char *const *)from);
        return;
    case MLIST_CHOICE:
        for (unsigned i = 0; span_cut(&rest, ' ', &word); i++)
            if (i == *(const unsigned *)from)
                buf_put(into, word);
        return;
    case MLIST_SIZE:
        buf_put_number(into, *(const uint64_t *)from);
        return;
    }
}

/* --- the database --- */

enum status mlist_create(struct store *s, const char *address, uint64_t wall_ms, uint32_t *id)
{
    struct query *q = store_query(s, "INSERT INTO lists (address, created) VALUES (?, ?)");
    query_put_text(q, span_of(address));
    query_put_number(q, (int64_t)wall_ms);
    enum status status = query_run(q);
    if (status != OK)
        return status;
    int64_t given = store_last_id(s);
    must(given > 0 && given <= UINT32_MAX);
    *id = (uint32_t)given;
    return OK;
}

static enum status delete_of(struct store *s, const char *sql, uint32_t id)
{
    struct query *q = store_query(s, sql);
    query_put_number(q, id);
    return query_run(q);
}

enum status mlist_remove(struct store *s, uint32_t id)
{
    static const char *const deletes[] = {
        "DELETE FROM members WHERE list = ?",  "DELETE FROM people WHERE list = ?",
        "DELETE FROM settings WHERE list = ?", "DELETE FROM suppressed WHERE list = ?",
        "DELETE FROM posts WHERE list = ?",    "DELETE FROM seen WHERE list = ?",
        "DELETE FROM lists WHERE id = ?"};
    must(id != 0); /* in 'suppressed' it means all */
    enum status status = store_begin(s);
    if (status != OK)
        return status;
    for (size_t i = 0; status == OK && i < sizeof deletes / sizeof deletes[0]; i++)
        status = delete_of(s, deletes[i], id);
    if (status == OK && store_changes(s) == 0)
        status = NOT_FOUND;
    return store_finish(s, status);
}

enum status mlist_set(struct store *s, uint32_t id, const char *key, struct span value)
{
    const struct mlist_setting *setting = find_setting(key);
    must(setting != NULL && check_value(setting, value) == NULL);
    struct query *q;
    if (value.len == 0 || span_is(value, setting->fallback)) {
        q = store_query(s, "DELETE FROM settings WHERE list = ? AND key = ?");
        query_put_number(q, id);
        query_put_text(q, span_of(key));
        return query_run(q);
    }
    q = store_query(s, "INSERT OR REPLACE INTO settings (list, key, value) VALUES (?, ?, ?)");
    query_put_number(q, id);
    query_put_text(q, span_of(key));
    query_put_text(q, value);
    return query_run(q);
}

const char *mlist_person(struct span text, char into[PERSON_ADDRESS_BYTES_MAX + 1])
{
    struct person person;
    if (span_find(text, '@') < text.len) {
        const char *problem = person_parse(text, &person);
        if (problem == NULL)
            span_copy_text(span_of(person.canonical), into, PERSON_ADDRESS_BYTES_MAX + 1);
        return problem;
    }
    if (text.len == 0 || text.len > PERSON_LOCAL_BYTES_MAX || !utf8_is_printable(text))
        return "neither an address nor the name of a user";
    for (size_t i = 0; i < text.len; i++)
        into[i] = ascii_lower(text.at[i]);
    into[text.len] = '\0';
    return NULL;
}

static struct query *ask_person(struct store *s, const char *sql, uint32_t id, enum mlist_role role,
                                const char *name)
{
    struct query *q = store_query(s, sql);
    query_put_number(q, id);
    query_put_number(q, role);
    query_put_text(q, span_of(name));
    return q;
}

static bool has_room(struct store *s, uint32_t id, enum mlist_role role)
{
    struct query *q = store_query(s, "SELECT count(*) FROM people WHERE list = ? AND role = ?");
    query_put_number(q, id);
    query_put_number(q, role);
    bool has_room = query_row(q) && query_number(q, 0) < MLIST_PEOPLE_MAX;
    return query_end(q) == OK && has_room;
}

enum status mlist_add_person(struct store *s, uint32_t id, enum mlist_role role, const char *name)
{
    if (!has_room(s, id, role))
        return LIMIT;
    return query_run(ask_person(
        s, "INSERT OR IGNORE INTO people (list, role, name) VALUES (?, ?, ?)", id, role, name));
}

enum status mlist_remove_person(struct store *s, uint32_t id, enum mlist_role role,
                                const char *name)
{
    enum status status = query_run(ask_person(
        s, "DELETE FROM people WHERE list = ? AND role = ? AND name = ?", id, role, name));
    return status == OK && store_changes(s) == 0 ? NOT_FOUND : status;
}

/* --- reading --- */

static enum status load_settings(struct store *s, struct mlist *list)
{
    for (const struct mlist_setting *setting = mlist_settings; setting->key != NULL; setting++)
        assign(list, setting, span_of(setting->fallback));
    struct query *q = store_query(s, "SELECT key, value FROM settings WHERE list = ?");
    query_put_number(q, list->id);
    while (query_row(q)) {
        char key[32];
        span_copy_text(query_text(q, 0), key, sizeof key);
        const struct mlist_setting *setting = find_setting(key);
        if (setting != NULL && check_value(setting, query_text(q, 1)) == NULL)
            assign(list, setting, query_text(q, 1));
    }
    bool is_discussion = list->kind == MLIST_DISCUSSION;
    if (list->post == MLIST_POST_BY_KIND)
        list->post = is_discussion ? MLIST_POST_MEMBERS : MLIST_POST_OWNERS;
    if (list->from == MLIST_FROM_BY_KIND)
        list->from = is_discussion ? MLIST_FROM_LIST : MLIST_FROM_KEEP;
    return query_end(q);
}

static enum status load_people(struct store *s, struct mlist *list)
{
    struct query *q = store_query(s, "SELECT role, name FROM people WHERE list = ?");
    query_put_number(q, list->id);
    while (query_row(q)) {
        int64_t role = query_number(q, 0);
        if (role < 0 || role >= MLIST_ROLES)
            continue;
        struct mlist_people *people = &list->people[role];
        if (people->count < MLIST_PEOPLE_MAX)
            people->names[people->count++] = arena_text(&list->arena, query_text(q, 1));
    }
    return query_end(q);
}

static enum status load_head(struct store *s, struct mlist *list)
{
    struct query *q = store_query(s, "SELECT address, created FROM lists WHERE id = ?");
    query_put_number(q, list->id);
    bool is_found = query_row(q);
    if (is_found) {
        list->address         = arena_text(&list->arena, query_text(q, 0));
        list->created_wall_ms = (uint64_t)query_number(q, 1);
    }
    enum status status = query_end(q);
    return status == OK && !is_found ? NOT_FOUND : status;
}

enum status mlist_load(struct store *s, uint32_t id, struct mlist **list)
{
    struct mlist *l    = mem_new(sizeof *l);
    l->id              = id;
    enum status status = load_head(s, l);
    if (status == OK)
        status = load_settings(s, l);
    if (status == OK)
        status = load_people(s, l);
    if (status == OK)
        *list = l;
    else
        mlist_free(l);
    return status;
}

void mlist_free(struct mlist *list)
{
    if (list == NULL)
        return;
    arena_release(&list->arena);
    mem_free(list);
}

/* The one row of a query for ids: LIMIT when there are several. */
static enum status only_id(struct query *q, uint32_t *id)
{
    unsigned found = 0;
    while (query_row(q) && found++ == 0)
        *id = (uint32_t)query_number(q, 0);
    enum status status = query_end(q);
    return status != OK ? status : found == 0 ? NOT_FOUND : found > 1 ? LIMIT : OK;
}

enum status mlist_find(struct store *s, struct span name, uint32_t *id)
{
    char canonical[PERSON_ADDRESS_BYTES_MAX + 1];
    if (person_canonical(name, canonical)) {
        struct query *q = store_query(s, "SELECT id FROM lists WHERE address = ?");
        query_put_text(q, span_of(canonical));
        return only_id(q, id);
    }
    struct query *q = store_query(
        s, "SELECT id FROM lists WHERE substr(address, 1, instr(address, '@') - 1) = lower(?)");
    query_put_text(q, name);
    return only_id(q, id);
}

enum status mlist_next(struct store *s, uint32_t after, uint32_t *id)
{
    struct query *q = store_query(s, "SELECT id FROM lists WHERE id > ? ORDER BY id LIMIT 1");
    query_put_number(q, after);
    return only_id(q, id);
}

bool mlist_has_person(const struct mlist *list, enum mlist_role role, struct span name)
{
    char canonical[PERSON_ADDRESS_BYTES_MAX + 1];
    if (name.len == 0 || mlist_person(name, canonical) != NULL)
        return false;
    for (size_t i = 0; i < list->people[role].count; i++)
        if (strcmp(list->people[role].names[i], canonical) == 0)
            return true;
    return false;
}
