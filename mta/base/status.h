/* SPDX-License-Identifier: MIT */
/* Status: how a call ended, where more than yes or no can happen. */
#pragma once

#define STATUSES(X)                                                                                \
    X(OK, "ok")                                                                                    \
    X(AGAIN, "not now")                                                                            \
    X(END, "end of data")                                                                          \
    X(NOT_FOUND, "not found")                                                                      \
    X(EXISTS, "exists already")                                                                    \
    X(NO_SPACE, "no space left")                                                                   \
    X(IO_ERROR, "input/output error")                                                              \
    X(CORRUPT, "corrupted data")                                                                   \
    X(REFUSED, "refused")                                                                          \
    X(LIMIT, "limit reached")                                                                      \
    X(BAD_INPUT, "bad input")                                                                      \
    X(UNREACHABLE, "unreachable")                                                                  \
    X(TIMED_OUT, "timed out")                                                                      \
    X(NOT_PERMITTED, "not permitted")                                                              \
    X(CLOSED, "closed")

#define STATUS_NAME(id, text) id,
enum status { STATUSES(STATUS_NAME) STATUS_COUNT };
#undef STATUS_NAME

const char *status_text(enum status status);
