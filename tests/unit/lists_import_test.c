/* SPDX-License-Identifier: MIT */
/* Files of members: records, columns, and what an import makes of them. */
#include "lists/args.h"
#include "lists/csv.h"
#include "lists/import.h"
#include "lists/suppress.h"
#include "tests/unit/lists_fixture.h"
#include <string.h>

/* --- records --- */

static void puts_record(struct buf *into, const struct csv_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        buf_put_text(into, i == 0 ? "" : "|");
        buf_put(into, r->fields[i]);
    }
    buf_put_byte(into, '/');
}

/* All records of 'text', fed as one piece, as "a|b/c|d/"; a bad one as "!". */
static void records_are(const char *text, char separator, const char *wanted)
{
    struct csv_record *r = calloc(1, sizeof *r);
    struct span in       = span_of(text);
    struct buf got       = {0};
    size_t used          = 0;
    enum csv_parse parse;
    while ((parse = csv_take(in, separator, true, r, &used)) != CSV_MORE) {
        if (parse == CSV_RECORD)
            puts_record(&got, r);
        else
            buf_put_text(&got, "!");
        assert_true(used > 0 && used <= in.len);
        in = span_skip(in, used);
    }
    assert_int_equal(in.len, 0);
    assert_string_equal(buf_text(&got), wanted);
    buf_release(&got);
    csv_record_release(r);
    free(r);
}

static void records_are_cut_as_rfc_4180_says(void **state)
{
    (void)state;
    records_are("a,b\r\nc,d\n", ',', "a|b/c|d/");
    records_are("a,b\rc,d", ',', "a|b/c|d/");
    records_are("\"a,\"\"b\"\"\",\"c\nd\"\n,\n", ',', "a,\"b\"|c\nd/|/");
    records_are("a;b\tc\n", ';', "a|b\tc/");
    records_are("\"\"\n\n", ',', "//");
    records_are("a \"b\" c\n", ',', "a \"b\" c/");
    records_are("\"a\"b\nc\n", ',', "!c/");
    records_are("\"a\nb\nc\n", ',', "!b/c/");
}

static void a_record_is_the_same_wherever_it_is_cut(void **state)
{
    (void)state;
    const char *text     = "\"a\"\"b\",c\r\nd\r\n";
    struct csv_record *r = calloc(1, sizeof *r);
    size_t used;
    for (size_t cut = 0; cut < 10; cut++)
        assert_int_equal(csv_take(span_make(text, cut), ',', false, r, &used), CSV_MORE);
    assert_int_equal(csv_take(span_make(text, 10), ',', false, r, &used), CSV_RECORD);
    assert_int_equal(used, 10);
    assert_true(r->count == 2 && span_is(r->fields[0], "a\"b") && span_is(r->fields[1], "c"));
    csv_record_release(r);
    free(r);
}

static void a_record_without_end_is_given_up(void **state)
{
    (void)state;
    struct csv_record *r = calloc(1, sizeof *r);
    struct buf text      = {0};
    size_t used          = 0;
    buf_put_text(&text, "\"a\n");
    while (text.len < CSV_RECORD_BYTES_MAX)
        buf_put_text(&text, "b,c\n");
    assert_int_equal(csv_take(buf_span(&text), ',', false, r, &used), CSV_BAD);
    assert_int_equal(used, 3);
    for (size_t i = 0; i < text.len; i++)
        text.at[i] = 'x';
    assert_int_equal(csv_take(buf_span(&text), ',', false, r, &used), CSV_BAD);
    assert_int_equal(used, CSV_RECORD_BYTES_MAX);
    buf_release(&text);
    csv_record_release(r);
    free(r);
}

static void a_field_is_written_so_that_it_reads_the_same(void **state)
{
    (void)state;
    struct buf text = {0};
    csv_put(&text, span_of("a,b"), ',');
    csv_put(&text, span_of(";"), ',');
    csv_put(&text, span_of("say \"x\""), ',');
    assert_string_equal(buf_text(&text), "\"a,b\";\"say \"\"x\"\"\"");
    buf_release(&text);
}

static void the_separator_is_guessed_from_the_first_line(void **state)
{
    (void)state;
    assert_int_equal(csv_guess_separator(span_of("email;name\na,b,c,d")), ';');
    assert_int_equal(csv_guess_separator(span_of("email\tname\n")), '\t');
    assert_int_equal(csv_guess_separator(span_of("email,\"a;b;c;d\"\n")), ',');
    assert_int_equal(csv_guess_separator(span_of("email\n")), ',');
}

/* --- imports --- */

struct outcome {
    struct import_counts counts;
    enum status status;
    struct buf notes; /* "2 refused: reason\n" */
    char error[256];
};

static void take_notes(struct import *im, struct outcome *out)
{
    struct import_note note;
    while (import_next(im, &note)) {
        buf_printf(&out->notes, "%llu %s: ", (unsigned long long)note.line,
                   import_note_text(note.kind));
        buf_put(&out->notes, note.reason);
        buf_put_byte(&out->notes, '\n');
    }
}

/* 'piece' bytes at a time. */
static void import_bytes(struct lists_fixture *f, struct span text, size_t piece, bool is_dry,
                         struct outcome *out)
{
    struct import_settings settings = {
        .list = f->list, .is_dry = is_dry, .wall_ms = LISTS_NOW_MS + 1, .cause = "import"};
    struct import *im = import_new(f->store, &settings);
    buf_clear(&out->notes);
    do {
        struct span part = span_first(text, piece);
        text             = span_skip(text, piece);
        import_feed(im, part, text.len == 0);
        take_notes(im, out);
    } while (text.len > 0);
    while (import_merge(im))
        ;
    out->counts = *import_counts(im);
    out->status = import_status(im);
    span_copy_text(span_of(out->status == OK ? "" : import_error(im)), out->error,
                   sizeof out->error);
    import_free(im);
    (void)buf_text(&out->notes);
}

static void import_text(struct lists_fixture *f, const char *text, struct outcome *out)
{
    import_bytes(f, span_of(text), SIZE_MAX, false, out);
    assert_int_equal(out->status, OK);
}

static void lines_of_addresses_are_imported(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    import_text(&f,
                "\n# members\nann@example.org\r\n\nBob B <bob@example.org>\nnonsense\n"
                "Lee, Cy <cy@example.org>\nANN@example.org",
                &out);
    assert_int_equal(out.counts.added, 3);
    assert_int_equal(out.counts.lines, 8);
    assert_string_equal(out.notes.at, "5 normalised: bob@example.org\n6 refused: no domain\n"
                                      "7 normalised: cy@example.org\n"
                                      "8 repeated: line 3 has it already\n");
    assert_string_equal(lists_member(&f, "bob@example.org").name, "Bob B");
    assert_string_equal(lists_member(&f, "cy@example.org").name, "Lee, Cy");
    assert_string_equal(lists_member(&f, "ann@example.org").cause, "import");
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void a_spreadsheet_is_imported_whatever_separates(void **state)
{
    (void)state;
    static const char *const files[] = {
        "\xef\xbb\xbf"
        "E-Mail;Name;First Name\r\nann@example.org;\"Lee; Ann\";Ann\r\n",
        "name,first-name,EMAIL\n\"Lee; Ann\",Ann,ann@example.org\n",
        "Email Address\tName\tfirst_name\nann@example.org\tLee; Ann\tAnn\n"};
    for (size_t i = 0; i < 3; i++) {
        struct lists_fixture f;
        struct outcome out = {0};
        lists_setup(&f);
        import_text(&f, files[i], &out);
        assert_int_equal(out.counts.added, 1);
        assert_string_equal(out.notes.len == 0 ? "" : out.notes.at, "");
        assert_string_equal(lists_member(&f, "ann@example.org").name, "Lee; Ann");
        assert_string_equal(lists_member(&f, "ann@example.org").attributes,
                            "{\"first_name\":\"Ann\"}");
        buf_release(&out.notes);
        lists_teardown(&f);
    }
}

static void who_has_left_stays_away(void **state)
{
    (void)state;
    static const enum member_state gone[] = {MEMBER_UNSUBSCRIBED, MEMBER_BOUNCED,
                                             MEMBER_COMPLAINED};
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    for (size_t i = 0; i < 3; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "%c@example.org", (char)('a' + i));
        assert_int_equal(lists_join(&f, address, MEMBER_ACTIVE, false), OK);
        assert_int_equal(
            roster_set_state(f.store, lists_member(&f, address).id, gone[i], span_of("why"), 5),
            OK);
    }
    assert_int_equal(suppress_add(f.store, SUPPRESS_ALL, "d@example.org", span_of("abuse"), 5), OK);
    import_text(&f,
                "email,state\na@example.org,active\nB@example.org,\nc@example.org,active\n"
                "d@example.org,active\n",
                &out);
    assert_int_equal(out.counts.added + out.counts.changed, 0);
    assert_int_equal(out.counts.notes[IMPORT_LEFT_OUT], 4);
    assert_non_null(strstr(out.notes.at, "unsubscribed since 1970-01-01 (why)"));
    assert_non_null(strstr(out.notes.at, "suppressed since 1970-01-01 (abuse)"));
    for (size_t i = 0; i < 3; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "%c@example.org", (char)('a' + i));
        assert_int_equal(lists_member(&f, address).state, gone[i]);
        assert_int_equal(lists_member(&f, address).since_wall_ms, 5);
    }
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void a_file_may_say_that_someone_has_left(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    assert_int_equal(lists_join(&f, "ann@example.org", MEMBER_ACTIVE, false), OK);
    assert_int_equal(lists_join(&f, "pat@example.org", MEMBER_PENDING, false), OK);
    import_text(&f,
                "email,state,cause\nann@example.org,Unsubscribed,old server\n"
                "bob@example.org,complained,\npat@example.org,active,\nx@example.org,gone,\n",
                &out);
    assert_int_equal(lists_member(&f, "ann@example.org").state, MEMBER_UNSUBSCRIBED);
    assert_string_equal(lists_member(&f, "ann@example.org").cause, "old server");
    assert_int_equal(lists_member(&f, "bob@example.org").state, MEMBER_COMPLAINED);
    assert_int_equal(lists_member(&f, "pat@example.org").state, MEMBER_ACTIVE);
    assert_int_equal(out.counts.notes[IMPORT_REFUSED], 1);
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void an_import_again_changes_only_what_is_new(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    import_text(&f, "email,name,city\nann@example.org,Ann,Bern\nbob@example.org,Bob,\n", &out);
    import_text(&f, "email,city,age\nann@example.org,Basel,7\nbob@example.org,,\n", &out);
    assert_int_equal(out.counts.added, 0);
    assert_int_equal(out.counts.changed, 1);
    assert_int_equal(out.counts.unchanged, 1);
    assert_string_equal(lists_member(&f, "ann@example.org").name, "Ann");
    assert_string_equal(lists_member(&f, "ann@example.org").attributes,
                        "{\"city\":\"Basel\",\"age\":\"7\"}");
    assert_int_equal(lists_member(&f, "ann@example.org").since_wall_ms, LISTS_NOW_MS + 1);
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void a_dry_run_says_the_same_and_does_nothing(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome dry = {0}, wet = {0};
    uint64_t counts[MEMBER_STATE_COUNT];
    const char *text = "ann@example.org\nbad\nann@example.org\n<bob@example.org>\n";
    lists_setup(&f);
    import_bytes(&f, span_of(text), SIZE_MAX, true, &dry);
    assert_int_equal(roster_count(f.store, f.list, counts), OK);
    assert_int_equal(counts[MEMBER_ACTIVE], 0);
    import_bytes(&f, span_of(text), SIZE_MAX, false, &wet);
    assert_string_equal(dry.notes.at, wet.notes.at);
    assert_memory_equal(&dry.counts, &wet.counts, sizeof dry.counts);
    assert_int_equal(wet.counts.added, 2);
    buf_release(&dry.notes);
    buf_release(&wet.notes);
    lists_teardown(&f);
}

static void an_import_is_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    const char *text     = "\xef\xbb\xbf\r\nemail;name\r\n\"ann@example.org\";\"A\r\nB\"\r\nx;\r\n"
                           "\"open;y\r\nbob@example.org;Bob\r\n";
    struct outcome whole = {0}, cut = {0};
    struct lists_fixture f;
    lists_setup(&f);
    import_bytes(&f, span_of(text), SIZE_MAX, true, &whole);
    assert_int_equal(whole.counts.added, 2);
    assert_int_equal(whole.counts.notes[IMPORT_REFUSED], 2);
    for (size_t piece = 1; piece < 20; piece++) {
        import_bytes(&f, span_of(text), piece, true, &cut);
        assert_string_equal(cut.notes.at, whole.notes.at);
        assert_memory_equal(&cut.counts, &whole.counts, sizeof cut.counts);
    }
    buf_release(&whole.notes);
    buf_release(&cut.notes);
    lists_teardown(&f);
}

static void refuses_file(const char *text, size_t len, const char *words)
{
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    import_bytes(&f, span_make(text, len), SIZE_MAX, false, &out);
    assert_int_equal(out.status, BAD_INPUT);
    if (strstr(out.error, words) == NULL)
        print_error("wanted '%s': %s\n", words, out.error);
    assert_non_null(strstr(out.error, words));
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void a_file_that_cannot_be_understood_says_what_to_do(void **state)
{
    (void)state;
    refuses_file("\xff\xfe"
                 "a\0@\0",
                 6, "UTF-8");
    refuses_file("Ann,ann@example.org\n", 20, "header");
    refuses_file("first,last\n", 11, "email");
}

static void a_line_too_long_is_skipped_to_its_end(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    struct buf text    = {0};
    lists_setup(&f);
    buf_put_text(&text, "ann@example.org\n");
    for (size_t i = 0; i < 3 * CSV_RECORD_BYTES_MAX; i++)
        buf_put_byte(&text, 'x');
    buf_put_text(&text, "@example.org\nbob@example.org\n");
    import_bytes(&f, buf_span(&text), 10000, false, &out);
    assert_int_equal(out.counts.added, 2);
    assert_string_equal(out.notes.at, "2 refused: a line longer than 64 kB\n");
    assert_int_equal(out.counts.lines, 3);
    buf_release(&text);
    buf_release(&out.notes);
    lists_teardown(&f);
}

static void what_is_wrong_beside_the_address_is_dropped_and_said(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    lists_setup(&f);
    import_text(&f,
                "email,name,city,2nd,email\nann@example.org,M\xfcller,B\xe4rn,x,y\n"
                "bob@example.org,b,c,d,e,f\n",
                &out);
    assert_int_equal(out.counts.added, 1);
    assert_int_equal(out.counts.notes[IMPORT_DROPPED], 4);
    assert_int_equal(out.counts.notes[IMPORT_REFUSED], 1);
    assert_non_null(strstr(out.notes.at, "the name is not in UTF-8"));
    assert_non_null(strstr(out.notes.at, "the attribute 'city' is not in UTF-8"));
    buf_release(&out.notes);
    lists_teardown(&f);
}

enum { MANY = 45000 }; /* more than two slices */

static void a_large_file_is_merged_slice_by_slice(void **state)
{
    (void)state;
    struct lists_fixture f;
    struct outcome out = {0};
    struct buf text    = {0};
    uint64_t counts[MEMBER_STATE_COUNT];
    lists_setup(&f);
    for (unsigned i = 0; i < MANY; i++)
        buf_printf(&text, "user%u@example.org\n", i * 7919 % MANY);
    import_bytes(&f, buf_span(&text), 65536, false, &out);
    assert_int_equal(out.counts.added, MANY);
    assert_int_equal(roster_count(f.store, f.list, counts), OK);
    assert_int_equal(counts[MEMBER_ACTIVE], MANY);
    buf_release(&text);
    buf_release(&out.notes);
    lists_teardown(&f);
}

/* --- words of a command --- */

static void options_stand_anywhere_with_or_without_an_equals_sign(void **state)
{
    (void)state;
    static const struct arg_option table[] = {
        {"owner", true },
        {"json",  false},
        {NULL,    false}
    };
    char a[] = "dogs", b[] = "--owner", c[] = "ann", d[] = "--json", e[] = "--owner=bob=x",
         g[] = "--", h[] = "--odd";
    char *words[]    = {a, b, c, d, e, g, h};
    struct buf error = {0};
    struct args args;
    assert_true(args_parse(&args, 7, words, table, &error));
    assert_int_equal(args.word_count, 2);
    assert_string_equal(args.words[0], "dogs");
    assert_string_equal(args.words[1], "--odd");
    assert_int_equal(args.option_count, 3);
    assert_string_equal(args.options[0].value, "ann");
    assert_string_equal(args_value(&args, "owner"), "bob=x");
    assert_true(args_has(&args, "json"));
    buf_release(&error);
}

static void a_wrong_option_is_named(void **state)
{
    (void)state;
    static const struct arg_option table[] = {
        {"owner", true },
        {"json",  false},
        {NULL,    false}
    };
    static const char *const bad[] = {"--colour", "--json=1", "--owner"};
    for (size_t i = 0; i < 3; i++) {
        char word[16];
        char *words[]    = {word};
        struct buf error = {0};
        struct args args;
        (void)snprintf(word, sizeof word, "%s", bad[i]);
        assert_false(args_parse(&args, 1, words, table, &error));
        assert_non_null(strstr(buf_text(&error), bad[i]));
        buf_release(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_cut_as_rfc_4180_says),
        cmocka_unit_test(a_record_is_the_same_wherever_it_is_cut),
        cmocka_unit_test(a_record_without_end_is_given_up),
        cmocka_unit_test(a_field_is_written_so_that_it_reads_the_same),
        cmocka_unit_test(the_separator_is_guessed_from_the_first_line),
        cmocka_unit_test(lines_of_addresses_are_imported),
        cmocka_unit_test(a_spreadsheet_is_imported_whatever_separates),
        cmocka_unit_test(who_has_left_stays_away),
        cmocka_unit_test(a_file_may_say_that_someone_has_left),
        cmocka_unit_test(an_import_again_changes_only_what_is_new),
        cmocka_unit_test(a_dry_run_says_the_same_and_does_nothing),
        cmocka_unit_test(an_import_is_the_same_in_pieces_of_any_size),
        cmocka_unit_test(a_file_that_cannot_be_understood_says_what_to_do),
        cmocka_unit_test(a_line_too_long_is_skipped_to_its_end),
        cmocka_unit_test(what_is_wrong_beside_the_address_is_dropped_and_said),
        cmocka_unit_test(a_large_file_is_merged_slice_by_slice),
        cmocka_unit_test(options_stand_anywhere_with_or_without_an_equals_sign),
        cmocka_unit_test(a_wrong_option_is_named),
    };
    return RUN(tests);
}
