/* SPDX-License-Identifier: MIT */
/* What an SMTP client core has to say, for drivers that take one part at a time. */
#pragma once
#include "mta/smtp/client.h"

/* The first part: commands, or body. */
static inline struct span smtp_output_first(const struct smtp_client *c)
{
    struct span out = {0};
    (void)smtp_client_output(c, &out, 1);
    return out;
}
