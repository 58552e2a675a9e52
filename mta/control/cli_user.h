/* SPDX-License-Identifier: MIT */
/*
 * 'mailrace user': adds, changes, removes and lists the users of the submission port.  It works on
 * the users' file itself, with or without a server; a server that runs is told to read it again.
 */
#pragma once
#include "mta/control/config.h"

/* What stands behind 'user'; returns the exit code. */
int cli_user(const struct config *config, char **words, int count);
/* For the usage line. */
extern const char cli_user_arguments[];
