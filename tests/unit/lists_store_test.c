/* SPDX-License-Identifier: MIT */
#include "lists/schema.h"
#include "tests/unit/lists_fixture.h"
#include <string.h>
#include <sys/stat.h>

static void the_file_is_for_its_owner_alone(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct stat about;
    char wal[sizeof f.path + 8];
    lists_setup(&f);
    assert_int_equal(stat(f.path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    (void)snprintf(wal, sizeof wal, "%s-wal", f.path);
    assert_int_equal(stat(wal, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    lists_teardown(&f);
}

static void the_key_stays_the_same(void **state)
{
    (void)state;
    struct lists_fixture f;
    unsigned char key[STORE_KEY_BYTES], zero[STORE_KEY_BYTES] = {0};
    lists_setup(&f);
    memcpy(key, store_key(f.store), sizeof key);
    assert_memory_not_equal(key, zero, sizeof key);
    store_close(f.store);
    f.store = lists_open(f.path);
    assert_memory_equal(key, store_key(f.store), sizeof key);
    lists_teardown(&f);
}

static void refused(const char *path, enum store_mode mode, enum status wanted, const char *words)
{
    struct store *store = NULL;
    struct buf error    = {0};
    assert_int_equal(store_open(&store, path, mode, &error), wanted);
    if (strstr(buf_text(&error), path) == NULL || strstr(buf_text(&error), words) == NULL)
        print_error("wanted '%s' in: %s\n", words, buf_text(&error));
    assert_non_null(strstr(buf_text(&error), path));
    assert_non_null(strstr(buf_text(&error), words));
    buf_release(&error);
}

static void what_is_missing_is_made_only_when_asked(void **state)
{
    (void)state;
    refused("/tmp/no_such_lists.db", STORE_READ, NOT_FOUND, "'mailrace list create' makes it");
    refused("/tmp/no_such_directory/lists.db", STORE_CREATE, NOT_FOUND, "make its directory");
}

static void a_file_that_is_no_database_is_left_alone(void **state)
{
    (void)state;
    char path[] = "/tmp/lists_store_test.XXXXXX";
    char kept[64];
    int fd            = mkstemp(path);
    const char text[] = "These are my addresses, and no database at all.\n";
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    refused(path, STORE_CREATE, CORRUPT, "no lists database");
    assert_int_equal(pread(fd, kept, sizeof kept, 0), sizeof text);
    assert_string_equal(kept, text);
    (void)close(fd);
    (void)unlink(path);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct lists_fixture f;
    lists_setup(&f);
    assert_int_equal(query_run(store_query(f.store, "PRAGMA user_version = 1000000")), OK);
    store_close(f.store);
    f.store = NULL;
    refused(f.path, STORE_READ, BAD_INPUT, "a newer mailrace");
    lists_teardown(&f);
}

static void a_stranger_s_database_is_refused(void **state)
{
    (void)state;
    struct lists_fixture f;
    lists_setup(&f);
    assert_int_equal(query_run(store_query(f.store, "PRAGMA application_id = 7")), OK);
    store_close(f.store);
    f.store = NULL;
    refused(f.path, STORE_READ, CORRUPT, "no lists database");
    lists_teardown(&f);
}

static int64_t count_lists(struct store *s)
{
    struct query *q = store_query(s, "SELECT count(*) FROM lists");
    int64_t count   = query_row(q) ? query_number(q, 0) : -1;
    assert_int_equal(query_end(q), OK);
    return count;
}

static void a_rollback_undoes_everything_since_begin(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t id;
    lists_setup(&f);
    assert_int_equal(store_begin(f.store), OK);
    assert_int_equal(mlist_create(f.store, "cats@lists.example.org", 1, &id), OK);
    assert_int_equal(count_lists(f.store), 2);
    assert_int_equal(store_finish(f.store, REFUSED), REFUSED);
    assert_int_equal(count_lists(f.store), 1);
    lists_teardown(&f);
}

static void a_reader_does_not_wait_for_a_writer(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t id;
    lists_setup(&f);
    struct store *other = lists_open(f.path);
    assert_int_equal(store_begin(f.store), OK);
    assert_int_equal(mlist_create(f.store, "cats@lists.example.org", 1, &id), OK);
    assert_int_equal(count_lists(other), 1);
    assert_int_equal(store_commit(f.store), OK);
    assert_int_equal(count_lists(other), 2);
    store_close(other);
    lists_teardown(&f);
}

static void a_broken_constraint_says_exists_and_the_query_works_again(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t id = 0;
    lists_setup(&f);
    assert_int_equal(mlist_create(f.store, "dogs@lists.example.org", 1, &id), EXISTS);
    assert_int_equal(mlist_create(f.store, "cats@lists.example.org", 1, &id), OK);
    assert_true(id > f.list);
    lists_teardown(&f);
}

static void a_missing_table_is_damage_and_no_bug(void **state)
{
    (void)state;
    struct lists_fixture f;
    lists_setup(&f);
    assert_int_equal(query_run(store_query(f.store, "DROP TABLE seen")), OK);
    assert_int_equal(query_run(store_query(f.store, "SELECT count(*) FROM seen")), CORRUPT);
    assert_non_null(strstr(store_error(f.store), "seen"));
    lists_teardown(&f);
}

static void bytes_and_texts_come_back_as_they_were(void **state)
{
    (void)state;
    struct lists_fixture f;
    const char text[] = "a\0b'c";
    lists_setup(&f);
    struct query *q = store_query(f.store, "SELECT ?, ?, ?, ?");
    query_put_text(q, span_make(text, 5));
    query_put_optional(q, span_of(""));
    query_put_number(q, INT64_MIN);
    query_put_bytes(q, "\xff\x00\xfe", 3);
    assert_true(query_row(q));
    assert_true(span_equals(query_text(q, 0), span_make(text, 5)));
    assert_int_equal(query_text(q, 1).len, 0);
    assert_true(query_number(q, 2) == INT64_MIN);
    assert_memory_equal(query_text(q, 3).at, "\xff\x00\xfe", 3);
    assert_false(query_row(q));
    assert_int_equal(query_end(q), OK);
    lists_teardown(&f);
}

static void the_steps_of_the_schema_end(void **state)
{
    (void)state;
    size_t n = 0;
    while (schema_step(n) != NULL)
        n++;
    assert_true(n > 0);
    assert_null(schema_step(n + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_for_its_owner_alone),
        cmocka_unit_test(the_key_stays_the_same),
        cmocka_unit_test(what_is_missing_is_made_only_when_asked),
        cmocka_unit_test(a_file_that_is_no_database_is_left_alone),
        cmocka_unit_test(a_newer_schema_is_refused),
        cmocka_unit_test(a_stranger_s_database_is_refused),
        cmocka_unit_test(a_rollback_undoes_everything_since_begin),
        cmocka_unit_test(a_reader_does_not_wait_for_a_writer),
        cmocka_unit_test(a_broken_constraint_says_exists_and_the_query_works_again),
        cmocka_unit_test(a_missing_table_is_damage_and_no_bug),
        cmocka_unit_test(bytes_and_texts_come_back_as_they_were),
        cmocka_unit_test(the_steps_of_the_schema_end),
    };
    return RUN(tests);
}
