/* SPDX-License-Identifier: MIT */
#include "mta/mail/outcome.h"
#include "mta/base/fault.h"

#define TEXT(id, text) text,
static const char *const outcome_texts[OUTCOME_COUNT]  = {OUTCOMES(TEXT)};
static const char *const state_texts[RCPT_STATE_COUNT] = {RCPT_STATES(TEXT)};
#undef TEXT

const char *outcome_text(enum outcome outcome)
{
    must((unsigned)outcome < OUTCOME_COUNT);
    return outcome_texts[outcome];
}

const char *rcpt_state_text(enum rcpt_state state)
{
    must((unsigned)state < RCPT_STATE_COUNT);
    return state_texts[state];
}
