/* SPDX-License-Identifier: MIT */
/* Settle: what a result of the SMTP client means for a recipient and for the site.  Pure. */
#pragma once
#include "mta/queue/job.h"
#include "mta/smtp/client.h"

/* Writes the recipient's verdict into the job. 'host': who said so. */
void settle_result(struct job *job, const struct smtp_result *result, const char *host);
