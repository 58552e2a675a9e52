/* SPDX-License-Identifier: MIT */
/* Date: wall clock milliseconds in the forms mail and logs write; always UTC. */
#pragma once
#include <stdint.h>

enum { DATE_TEXT_BYTES = 40 };

/* "Tue, 24 Nov 2026 10:49:27 +0000" (RFC 5322 3.3) */
const char *date_rfc5322(uint64_t wall_ms, char into[DATE_TEXT_BYTES]);
/* "2026-11-24T10:49:27.123Z" (RFC 3339) */
const char *date_rfc3339(uint64_t wall_ms, char into[DATE_TEXT_BYTES]);
