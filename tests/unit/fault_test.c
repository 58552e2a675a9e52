/* SPDX-License-Identifier: MIT */
/* Faults end the process, so each happens in a child that tells on a pipe. */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/base/span.h"
#include "mta/base/status.h"
#include "tests/unit/check.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_BYTES = 2000 };

static bool dies(void (*cause)(void), char last_words[WORDS_BYTES])
{
    int words[2], how = 0;
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe(words), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(words[1], STDERR_FILENO);
        cause();
        _exit(0);
    }
    (void)close(words[1]);
    while ((n = read(words[0], last_words + len, WORDS_BYTES - 1 - len)) > 0)
        len += (size_t)n;
    last_words[len] = '\0';
    (void)close(words[0]);
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT;
}

static void break_a_promise(void)
{
    int two = 2;
    must(two + two == 5);
}

static void keep_a_promise(void)
{
    int two = 2;
    must(two + two == 4);
}

static void a_broken_promise_ends_the_process_and_says_where(void **state)
{
    (void)state;
    char words[WORDS_BYTES];
    assert_true(dies(break_a_promise, words));
    assert_non_null(strstr(words, "fault_test.c:"));
    assert_non_null(strstr(words, "two + two == 5"));
    assert_false(dies(keep_a_promise, words));
    assert_string_equal(words, "");
}

static void ask_for_a_status_that_is_none(void)
{
    (void)status_text(STATUS_COUNT);
}

static void every_status_has_its_text(void **state)
{
    (void)state;
    char words[WORDS_BYTES];
    for (int i = 0; i < STATUS_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(status_text((enum status)i), status_text((enum status)k));
    assert_string_equal(status_text(OK), "ok");
    assert_true(dies(ask_for_a_status_that_is_none, words));
}

static void memory_is_zeroed_and_texts_are_copied(void **state)
{
    (void)state;
    char *bytes = mem_new_array(100, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 0);
    memset(bytes, 'x', 300);
    bytes = mem_resize(bytes, 10000);
    for (int i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 'x');
    mem_free(bytes);
    mem_free(NULL);
    mem_free(mem_new(0));
    char *copy = mem_text("text");
    assert_string_equal(copy, "text");
    mem_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_promise_ends_the_process_and_says_where),
        cmocka_unit_test(every_status_has_its_text),
        cmocka_unit_test(memory_is_zeroed_and_texts_are_copied),
    };
    return RUN(tests);
}
