/* SPDX-License-Identifier: MIT */
/* Persons, lists, members and suppressions. */
#include "lists/attributes.h"
#include "lists/suppress.h"
#include "tests/unit/lists_fixture.h"
#include <string.h>

/* --- persons --- */

static void is_person(const char *text, const char *canonical, const char *shown, const char *name)
{
    struct person p;
    const char *problem = person_parse(span_of(text), &p);
    if (problem != NULL)
        print_error("'%s': %s\n", text, problem);
    assert_null(problem);
    assert_string_equal(p.canonical, canonical);
    assert_string_equal(p.shown, shown);
    assert_string_equal(p.name, name);
}

static void an_address_is_understood_however_people_write_it(void **state)
{
    (void)state;
    is_person("ann@example.org", "ann@example.org", "ann@example.org", "");
    is_person("  Ann@Example.ORG\t", "ann@example.org", "Ann@Example.ORG", "");
    is_person("<ann@example.org>", "ann@example.org", "ann@example.org", "");
    is_person("Ann Lee <ann@example.org>", "ann@example.org", "ann@example.org", "Ann Lee");
    is_person("\"Lee, \\\"Ann\\\"\" <ann@example.org>", "ann@example.org", "ann@example.org",
              "Lee, \"Ann\"");
    is_person("mailto:ann@example.org", "ann@example.org", "ann@example.org", "");
    is_person("ANN@b\xc3\xbc"
              "cher.example",
              "ann@xn--bcher-kva.example", "ANN@xn--bcher-kva.example", "");
    is_person("\xc3\xa4nne@example.org", "\xc3\xa4nne@example.org", "\xc3\xa4nne@example.org", "");
}

static void is_no_person(const char *text)
{
    struct person p;
    bool is_taken = person_parse(span_of(text), &p) == NULL;
    if (is_taken)
        print_error("%s was taken\n", text);
    assert_false(is_taken);
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "ann lee@example.org",
        "ann@example",
        "ann@[192.0.2.1]",
        "ann@-.org",
        "ann@example.org\nbob@example.org",
        "ann@example.org, bob@example.org",
        "Ann <ann@example.org",
        "a\x01@example.org",
        "0123456789012345678901234567890123456789012345678901234567890123456789@example.org"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        is_no_person(bad[i]);
}

static void what_was_altered_is_said(void **state)
{
    (void)state;
    struct person p;
    assert_null(person_parse(span_of(" ann@Example.org "), &p));
    assert_false(p.is_changed);
    assert_null(person_parse(span_of("<ann@example.org>"), &p));
    assert_true(p.is_changed);
    assert_null(person_parse(span_of("ann@b\xc3\xbc"
                                     "cher.example"),
                             &p));
    assert_true(p.is_changed);
}

static void a_name_without_sense_is_dropped(void **state)
{
    (void)state;
    struct person p;
    assert_null(person_parse(span_of("A\xff <ann@example.org>"), &p));
    assert_string_equal(p.name, "");
    assert_false(person_set_name(&p, span_of("a\nb")));
    assert_true(person_set_name(&p, span_of(" Ann ")));
    assert_string_equal(p.name, "Ann");
}

/* --- lists --- */

static void a_list_s_address_leaves_room_for_its_sub_addresses(void **state)
{
    (void)state;
    char into[PERSON_ADDRESS_BYTES_MAX + 1];
    assert_null(mlist_check_address(span_of("Dogs.and-Cats_2@Lists.example.org"), into));
    assert_string_equal(into, "dogs.and-cats_2@lists.example.org");
    assert_non_null(mlist_check_address(span_of("dogs-bounces@lists.example.org"), into));
    assert_non_null(mlist_check_address(span_of("dogs-owner@lists.example.org"), into));
    assert_non_null(mlist_check_address(span_of("dogs+x@lists.example.org"), into));
    assert_non_null(mlist_check_address(span_of("dogs"), into));
    assert_non_null(mlist_check_address(
        span_of("a123456789012345678901234567890123456789x@lists.example.org"), into));
}

static void settings_have_defaults_and_keep_what_is_set(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct mlist *l;
    lists_setup(&f);
    assert_int_equal(mlist_load(f.store, f.list, &l), OK);
    assert_int_equal(l->kind, MLIST_ANNOUNCE);
    assert_int_equal(l->post, MLIST_POST_OWNERS);
    assert_int_equal(l->from, MLIST_FROM_KEEP);
    assert_string_equal(l->prefix, "");
    mlist_free(l);
    assert_int_equal(mlist_set(f.store, f.list, "kind", span_of("discussion")), OK);
    assert_int_equal(mlist_set(f.store, f.list, "footer", span_of("a\nb")), OK);
    assert_int_equal(mlist_set(f.store, f.list, "size", span_of("500k")), OK);
    assert_int_equal(mlist_load(f.store, f.list, &l), OK);
    assert_int_equal(l->post, MLIST_POST_MEMBERS);
    assert_int_equal(l->from, MLIST_FROM_LIST);
    assert_string_equal(l->footer, "a\nb");
    assert_int_equal(l->message_bytes_max, 500 * 1024);
    mlist_free(l);
    assert_int_equal(mlist_set(f.store, f.list, "post", span_of("owners")), OK);
    assert_int_equal(mlist_set(f.store, f.list, "size", span_of("")), OK);
    assert_int_equal(mlist_load(f.store, f.list, &l), OK);
    assert_int_equal(l->post, MLIST_POST_OWNERS);
    assert_int_equal(l->message_bytes_max, 0);
    mlist_free(l);
    lists_teardown(&f);
}

static void a_bad_value_says_what_it_should_be(void **state)
{
    (void)state;
    assert_null(mlist_check("kind", span_of("announce")));
    assert_string_equal(mlist_check("kind", span_of("x")), "announce discussion");
    assert_non_null(mlist_check("prefix", span_of("a\nb")));
    assert_non_null(mlist_check("footer", span_of("a\rb")));
    assert_non_null(mlist_check("archive-url", span_of("https://a b")));
    assert_non_null(mlist_check("size", span_of("1x")));
    assert_non_null(mlist_check("colour", span_of("red")));
}

static void owners_are_compared_without_case(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct mlist *l;
    char name[PERSON_ADDRESS_BYTES_MAX + 1];
    lists_setup(&f);
    assert_null(mlist_person(span_of("Ann@Example.org"), name));
    assert_int_equal(mlist_add_person(f.store, f.list, MLIST_OWNER, name), OK);
    assert_null(mlist_person(span_of("Bob"), name));
    assert_int_equal(mlist_add_person(f.store, f.list, MLIST_OWNER, name), OK);
    assert_int_equal(mlist_load(f.store, f.list, &l), OK);
    assert_int_equal(l->people[MLIST_OWNER].count, 2);
    assert_true(mlist_has_person(l, MLIST_OWNER, span_of("ANN@example.org")));
    assert_true(mlist_has_person(l, MLIST_OWNER, span_of("BOB")));
    assert_false(mlist_has_person(l, MLIST_OWNER, span_of("")));
    assert_false(mlist_has_person(l, MLIST_OWNER, span_of("carl")));
    assert_false(mlist_has_person(l, MLIST_POSTER, span_of("bob")));
    mlist_free(l);
    assert_int_equal(mlist_remove_person(f.store, f.list, MLIST_OWNER, "bob"), OK);
    assert_int_equal(mlist_remove_person(f.store, f.list, MLIST_OWNER, "bob"), NOT_FOUND);
    lists_teardown(&f);
}

static void a_list_is_found_by_a_name_that_only_it_has(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t id, other;
    lists_setup(&f);
    assert_int_equal(mlist_find(f.store, span_of("DOGS"), &id), OK);
    assert_int_equal(id, f.list);
    assert_int_equal(mlist_create(f.store, "dogs@lists.example.net", 1, &other), OK);
    assert_int_equal(mlist_find(f.store, span_of("dogs"), &id), LIMIT);
    assert_int_equal(mlist_find(f.store, span_of("Dogs@lists.example.net"), &id), OK);
    assert_int_equal(id, other);
    assert_int_equal(mlist_find(f.store, span_of("cats"), &id), NOT_FOUND);
    lists_teardown(&f);
}

static void a_removed_list_takes_everything_along_and_its_id_never_returns(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t id;
    struct member m;
    lists_setup(&f);
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    uint64_t member = lists_member(&f, "ann@example.org").id;
    assert_int_equal(suppress_add(f.store, f.list, "bob@example.org", span_of("x"), 1), OK);
    assert_int_equal(mlist_remove(f.store, f.list), OK);
    assert_int_equal(mlist_remove(f.store, f.list), NOT_FOUND);
    assert_int_equal(roster_find_id(f.store, member, &f.arena, &m), NOT_FOUND);
    assert_int_equal(mlist_create(f.store, "dogs@lists.example.org", 1, &id), OK);
    assert_true(id > f.list);
    f.list = id;
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    assert_true(lists_member(&f, "ann@example.org").id > member);
    lists_teardown(&f);
}

/* --- members --- */

static void an_address_is_on_a_list_once(void **state)
{
    (void)state;
    struct lists_fixture f;
    lists_setup(&f);
    assert_int_equal(lists_join(&f, "Ann@example.org", MEMBER_ACTIVE, false), OK);
    assert_int_equal(lists_join(&f, "ann@EXAMPLE.org", MEMBER_ACTIVE, false), EXISTS);
    struct member m = lists_member(&f, "ann@example.org");
    assert_string_equal(m.shown, "Ann@example.org");
    assert_int_equal(m.state, MEMBER_ACTIVE);
    assert_int_equal(m.since_wall_ms, LISTS_NOW_MS);
    assert_string_equal(m.cause, "test");
    lists_teardown(&f);
}

static void who_has_left_comes_back_only_when_asked_by_name(void **state)
{
    (void)state;
    static const enum member_state gone[] = {MEMBER_UNSUBSCRIBED, MEMBER_BOUNCED,
                                             MEMBER_COMPLAINED};
    for (size_t i = 0; i < 3; i++) {
        struct lists_fixture f;
        lists_setup(&f);
        assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
        struct member m = lists_member(&f, "ann@example.org");
        assert_int_equal(roster_set_state(f.store, m.id, gone[i], span_of("why"), 5), OK);
        assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), REFUSED);
        m = lists_member(&f, "ann@example.org");
        assert_int_equal(m.state, gone[i]);
        assert_int_equal(m.since_wall_ms, 5);
        assert_string_equal(m.cause, "why");
        assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, true), OK);
        assert_int_equal(lists_member(&f, "ann@example.org").state, MEMBER_ACTIVE);
        lists_teardown(&f);
    }
}

static void a_complaint_outlasts_a_bounce(void **state)
{
    (void)state;
    struct lists_fixture f;
    lists_setup(&f);
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    uint64_t id = lists_member(&f, "ann@example.org").id;
    assert_int_equal(roster_set_state(f.store, id, MEMBER_COMPLAINED, span_of("spam"), 5), OK);
    assert_int_equal(roster_set_state(f.store, id, MEMBER_BOUNCED, span_of("x"), 6), REFUSED);
    assert_int_equal(roster_set_state(f.store, id, MEMBER_COMPLAINED, span_of("x"), 6), EXISTS);
    assert_int_equal(lists_member(&f, "ann@example.org").since_wall_ms, 5);
    assert_int_equal(roster_set_state(f.store, id + 99, MEMBER_BOUNCED, span_of("x"), 6),
                     NOT_FOUND);
    lists_teardown(&f);
}

static void attributes_are_merged_by_name(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct person p;
    struct span json, name;
    struct buf value = {0};
    lists_setup(&f);
    assert_null(person_parse(span_of("Ann <ann@example.org>"), &p));
    assert_int_equal(roster_subscribe(f.store, f.list, &p,
                                      span_of("{\"city\":\"Bern\",\"x\":\"1\"}"), MEMBER_ACTIVE,
                                      false, span_of(""), 1),
                     OK);
    p.name[0] = '\0';
    assert_int_equal(roster_subscribe(f.store, f.list, &p, span_of("{\"city\":\"Z\xc3\xbcrich\"}"),
                                      MEMBER_ACTIVE, false, span_of(""), 2),
                     EXISTS);
    struct member m = lists_member(&f, "ann@example.org");
    assert_string_equal(m.name, "Ann");
    json = span_of(m.attributes);
    assert_true(attribute_next(&json, &name, &value));
    assert_true(span_is(name, "city") && span_is(buf_span(&value), "Z\xc3\xbcrich"));
    buf_clear(&value);
    assert_true(attribute_next(&json, &name, &value));
    assert_true(span_is(name, "x") && span_is(buf_span(&value), "1"));
    assert_false(attribute_next(&json, &name, &value));
    buf_release(&value);
    lists_teardown(&f);
}

/* --- suppression --- */

static void a_suppressed_member_is_shown_so_and_is_what_it_was_afterwards(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint64_t counts[MEMBER_STATE_COUNT];
    lists_setup(&f);
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    assert_int_equal(lists_join(&f, "bob@example.org", MEMBER_ACTIVE, false), OK);
    assert_int_equal(suppress_add(f.store, SUPPRESS_ALL, "ann@example.org", span_of("spam"), 9),
                     OK);
    assert_int_equal(suppress_add(f.store, SUPPRESS_ALL, "ann@example.org", span_of("no"), 10),
                     EXISTS);
    assert_int_equal(suppress_add(f.store, f.list, "ann@example.org", span_of("here"), 11), OK);
    struct member m = lists_member(&f, "ann@example.org");
    assert_int_equal(m.state, MEMBER_SUPPRESSED);
    assert_int_equal(m.since_wall_ms, 9);
    assert_string_equal(m.cause, "spam");
    assert_int_equal(roster_count(f.store, f.list, counts), OK);
    assert_int_equal(counts[MEMBER_ACTIVE], 1);
    assert_int_equal(counts[MEMBER_SUPPRESSED], 1);
    assert_int_equal(suppress_remove(f.store, SUPPRESS_ALL, "ann@example.org"), OK);
    assert_string_equal(lists_member(&f, "ann@example.org").cause, "here");
    assert_int_equal(suppress_remove(f.store, f.list, "ann@example.org"), OK);
    assert_int_equal(suppress_remove(f.store, f.list, "ann@example.org"), NOT_FOUND);
    assert_int_equal(lists_member(&f, "ann@example.org").state, MEMBER_ACTIVE);
    lists_teardown(&f);
}

static void another_list_s_suppression_does_not_count(void **state)
{
    (void)state;
    struct lists_fixture f;
    uint32_t other;
    lists_setup(&f);
    assert_int_equal(mlist_create(f.store, "cats@lists.example.org", 1, &other), OK);
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    assert_int_equal(suppress_add(f.store, other, "ann@example.org", span_of("x"), 9), OK);
    assert_int_equal(lists_member(&f, "ann@example.org").state, MEMBER_ACTIVE);
    lists_teardown(&f);
}

/* --- walking --- */

enum { CROWD = 25 };

static void walks_count(struct lists_fixture *f, bool is_in_state, enum member_state which,
                        size_t wanted)
{
    struct roster_walk walk = {.list = f->list, .is_in_state = is_in_state, .state = which};
    struct member members[4];
    size_t given = 4, total = 0;
    uint64_t last = 0;
    while (given == 4) {
        assert_int_equal(roster_walk(f->store, &walk, &f->arena, members, 4, &given), OK);
        for (size_t i = 0; i < given; i++) {
            assert_true(members[i].id > last);
            last = members[i].id;
        }
        total += given;
    }
    assert_int_equal(total, wanted);
}

static void a_walk_gives_each_member_once_in_pages(void **state)
{
    (void)state;
    struct lists_fixture f;
    char address[32];
    lists_setup(&f);
    for (int i = 0; i < CROWD; i++) {
        (void)snprintf(address, sizeof address, "user%d@example.org", i);
        assert_int_equal(
            lists_join(&f, address, i % 5 == 0 ? MEMBER_PENDING : MEMBER_ACTIVE, false), OK);
    }
    assert_int_equal(suppress_add(f.store, SUPPRESS_ALL, "user1@example.org", span_of("x"), 9), OK);
    walks_count(&f, false, MEMBER_ACTIVE, CROWD);
    walks_count(&f, true, MEMBER_PENDING, 5);
    walks_count(&f, true, MEMBER_ACTIVE, 19);
    walks_count(&f, true, MEMBER_SUPPRESSED, 1);
    walks_count(&f, true, MEMBER_BOUNCED, 0);
    lists_teardown(&f);
}

/* --- attributes --- */

static void a_column_s_name_becomes_an_attribute_s(void **state)
{
    (void)state;
    char name[ATTRIBUTE_NAME_BYTES_MAX + 1];
    assert_true(attribute_name(span_of(" First Name "), name));
    assert_string_equal(name, "first_name");
    assert_false(attribute_name(span_of("Name"), name));
    assert_false(attribute_name(span_of("2nd"), name));
    assert_false(attribute_name(span_of("a\"b"), name));
    assert_false(attribute_name(span_of("a12345678901234567890123456789012"), name));
}

static void attributes_are_read_as_they_were_put(void **state)
{
    (void)state;
    static const char *const values[] = {"plain", "", "with \"quotes\" and \\", "\xf0\x9f\x90\xb6",
                                         "/"};
    struct buf json = {0}, value = {0};
    struct span rest, name;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_true(attribute_put(&json, "key", span_of(values[i])));
    assert_false(attribute_put(&json, "key", span_of("a\nb")));
    assert_false(attribute_put(&json, "key", span_of("\xff")));
    attribute_end(&json);
    rest = buf_span(&json);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        buf_clear(&value);
        assert_true(attribute_next(&rest, &name, &value));
        assert_true(span_is(name, "key") && span_is(buf_span(&value), values[i]));
    }
    assert_false(attribute_next(&rest, &name, &value));
    buf_release(&json);
    buf_release(&value);
}

static void escapes_of_others_are_understood_and_nonsense_is_not(void **state)
{
    (void)state;
    struct buf value = {0};
    struct span name, json = span_of(" { \"a\" : \"\\u00fc\\ud83d\\udc36\\n\\/\" }");
    assert_true(attribute_next(&json, &name, &value));
    assert_true(span_is(buf_span(&value), "\xc3\xbc\xf0\x9f\x90\xb6\n/"));
    assert_false(attribute_next(&json, &name, &value));
    static const char *const bad[] = {
        "{\"a\":1}",       "{\"a\":\"\\ud83d\"}", "{\"a\":\"x", "[\"a\"]",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u00\"}",   "",           "{",
        "{\"a\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json = span_of(bad[i]);
        buf_clear(&value);
        assert_false(attribute_next(&json, &name, &value));
        assert_int_equal(value.len, 0);
    }
    buf_release(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_understood_however_people_write_it),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(what_was_altered_is_said),
        cmocka_unit_test(a_name_without_sense_is_dropped),
        cmocka_unit_test(a_list_s_address_leaves_room_for_its_sub_addresses),
        cmocka_unit_test(settings_have_defaults_and_keep_what_is_set),
        cmocka_unit_test(a_bad_value_says_what_it_should_be),
        cmocka_unit_test(owners_are_compared_without_case),
        cmocka_unit_test(a_list_is_found_by_a_name_that_only_it_has),
        cmocka_unit_test(a_removed_list_takes_everything_along_and_its_id_never_returns),
        cmocka_unit_test(an_address_is_on_a_list_once),
        cmocka_unit_test(who_has_left_comes_back_only_when_asked_by_name),
        cmocka_unit_test(a_complaint_outlasts_a_bounce),
        cmocka_unit_test(attributes_are_merged_by_name),
        cmocka_unit_test(a_suppressed_member_is_shown_so_and_is_what_it_was_afterwards),
        cmocka_unit_test(another_list_s_suppression_does_not_count),
        cmocka_unit_test(a_walk_gives_each_member_once_in_pages),
        cmocka_unit_test(a_column_s_name_becomes_an_attribute_s),
        cmocka_unit_test(attributes_are_read_as_they_were_put),
        cmocka_unit_test(escapes_of_others_are_understood_and_nonsense_is_not),
    };
    return RUN(tests);
}
