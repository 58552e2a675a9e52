/* SPDX-License-Identifier: MIT */
/* The content is the test's own: it counts how often it is read, and may fail. */
#include "mta/deliver/bodies.h"
#include "mta/deliver/render.h"
#include "mta/spool/spool.h"
#include "tests/unit/check.h"
#include <string.h>

struct content {
    struct span text;
    unsigned reads;
    bool is_broken;
};

static struct content *the_content; /* the reader gets a const one */

uint64_t content_bytes(const struct content *content)
{
    return content->text.len;
}

enum status content_read(const struct content *content, uint64_t offset, char *into, size_t cap,
                         size_t *got)
{
    struct span rest = span_first(span_skip(content->text, (size_t)offset), cap);
    assert_ptr_equal(content, the_content);
    the_content->reads++;
    if (content->is_broken)
        return CORRUPT;
    memcpy(into, rest.at, rest.len);
    *got = rest.len;
    return rest.len > 0 ? OK : END;
}

static char scratch[RENDER_PIECE_BYTES];

static void open_with(struct bodies *bodies, struct content *content, struct span text)
{
    bodies_init(bodies, 7);
    *content    = (struct content){.text = text};
    the_content = content;
}

static struct body *take(struct bodies *bodies, uint64_t id, bool is_chunk, uint64_t now_ms)
{
    struct body_key key = {id, is_chunk};
    struct body *body   = NULL;
    assert_int_equal(bodies_take(bodies, the_content, &key, 0, scratch, now_ms, &body), OK);
    return body;
}

static void a_body_is_rendered_once_for_all_jobs(void **state)
{
    (void)state;
    static const struct span text = SPAN("a: b\r\n\r\n.dot\r\n");
    struct bodies bodies;
    struct content content;
    open_with(&bodies, &content, text);
    struct body *first = take(&bodies, 1, false, 0), *second = take(&bodies, 1, false, 0);
    assert_ptr_equal(first, second);
    assert_int_equal(content.reads, 1);
    assert_true(span_is(buf_span(&first->bytes), "a: b\r\n\r\n..dot\r\n.\r\n"));

    struct body *chunk = take(&bodies, 1, true, 0);
    assert_true(span_equals(buf_span(&chunk->bytes), text));
    body_give(first);
    body_give(second);
    body_give(chunk);
    bodies_release(&bodies);
}

static void one_that_is_idle_goes_and_one_that_is_sent_stays_with_its_sender(void **state)
{
    (void)state;
    static const struct span text = SPAN("x\r\n");
    struct bodies bodies;
    struct content content;
    open_with(&bodies, &content, text);
    body_give(take(&bodies, 1, false, 1000));
    struct body *sent = take(&bodies, 2, false, 2000);
    assert_int_equal(bodies_turn(&bodies, 2000), 1000 + BODY_IDLE_MS);
    assert_int_equal(bodies_turn(&bodies, 1000 + BODY_IDLE_MS), 2000 + BODY_IDLE_MS);
    assert_int_equal(bodies_turn(&bodies, 2000 + BODY_IDLE_MS), UINT64_MAX);
    assert_int_equal(bodies.bytes, 0);
    assert_true(span_is(buf_span(&sent->bytes), "x\r\n.\r\n"));
    body_give(sent);
    body_give(take(&bodies, 1, false, 3000));
    assert_int_equal(content.reads, 3);
    bodies_release(&bodies);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    static char big[BODY_BYTES_MAX];
    struct bodies bodies;
    struct content content;
    for (size_t i = 0; i + 2 <= sizeof big; i += 2)
        memcpy(big + i, "\r\n", 2);
    open_with(&bodies, &content, span_make(big, sizeof big));
    for (uint64_t id = 1; id <= 2 * BODIES_BYTES_MAX / BODY_BYTES_MAX; id++) {
        body_give(take(&bodies, id, false, id));
        assert_true(bodies.bytes <= BODIES_BYTES_MAX);
    }
    assert_true(bodies.bytes > BODIES_BYTES_MAX / 2);
    unsigned reads = content.reads;
    body_give(take(&bodies, 2 * BODIES_BYTES_MAX / BODY_BYTES_MAX, false, 100)); /* the last one */
    assert_int_equal(content.reads, reads);
    body_give(take(&bodies, 1, false, 100));
    assert_true(content.reads > reads);
    bodies_release(&bodies);
}

static void what_cannot_be_read_or_sent_is_told_and_not_kept(void **state)
{
    (void)state;
    static const struct span good = SPAN("x\r\n"), bad = SPAN("x\ny\r\n");
    struct body_key key = {1, false};
    struct body *body;
    struct bodies bodies;
    struct content content;
    open_with(&bodies, &content, good);
    content.is_broken = true;
    assert_int_equal(bodies_take(&bodies, &content, &key, 0, scratch, 0, &body), CORRUPT);
    assert_null(body);
    content.is_broken = false;
    content.text      = bad;
    assert_int_equal(bodies_take(&bodies, &content, &key, 0, scratch, 0, &body), BAD_INPUT);
    content.text = good;
    body_give(take(&bodies, 1, false, 0));
    bodies_release(&bodies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_rendered_once_for_all_jobs),
        cmocka_unit_test(one_that_is_idle_goes_and_one_that_is_sent_stays_with_its_sender),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(what_cannot_be_read_or_sent_is_told_and_not_kept),
    };
    return RUN(tests);
}
