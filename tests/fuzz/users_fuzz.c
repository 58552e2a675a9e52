/* SPDX-License-Identifier: MIT */
/* A users' file that anybody may have edited, and counts that a disk may have damaged: what is
 * taken is written so that it is taken again, and is written the same then. */
#include "mta/base/fault.h"
#include "mta/receive/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_users(struct span text)
{
    struct buf error = {0}, first = {0}, second = {0};
    struct users *users = users_parse(text, "users", &error);
    must((users == NULL) == (error.len > 0));
    if (users != NULL) {
        users_write(users, &first);
        struct users *again = users_parse(buf_span(&first), "users", &error);
        must(again != NULL && again->count == users->count);
        users_write(again, &second);
        must(span_equals(buf_span(&first), buf_span(&second)));
        users_free(again);
    }
    users_free(users);
    buf_release(&error);
    buf_release(&first);
    buf_release(&second);
}

static void check_quotas(struct span text)
{
    struct quotas quotas, again;
    struct buf written = {0};
    quotas_init(&quotas, 1);
    quotas_init(&again, 1);
    (void)quotas_read(&quotas, text);
    quotas_write(&quotas, &written);
    must(quotas_read(&again, buf_span(&written)));
    must(again.by_name.count == quotas.by_name.count);
    quotas_forget(&quotas, 1795521600000ULL);
    quotas_release(&quotas);
    quotas_release(&again);
    buf_release(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make((const char *)data, size);
    check_users(text);
    check_quotas(text);
    return 0;
}
