/* SPDX-License-Identifier: MIT */
/* Fuzzes bounce.  Oracle: what is read is bounded, printable, and made of checked addresses. */
#include "mta/base/fault.h"
#include "mta/mail/bounce.h"
#include "mta/mail/escape.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bounce bounce;
    struct address address;
    bounce_read(span_make((const char *)data, size), size % 2 == 0, &bounce);
    must(bounce.count <= BOUNCE_RCPTS_MAX && bounce.kind < BOUNCE_KINDS);
    for (size_t i = 0; i < bounce.count; i++) {
        const struct bounce_rcpt *rcpt = &bounce.rcpts[i];
        must(rcpt->blame < BLAMES && text_is_ascii(span_of(rcpt->text)));
        must(utf8_is_printable(span_of(rcpt->text)));
        must(rcpt->address[0] == '\0' ||
             address_parse(span_of(rcpt->address), true, &address) == NULL);
    }
    return 0;
}
