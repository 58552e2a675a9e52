/* SPDX-License-Identifier: MIT */
/* Cli_dkim: 'mailrace dkim': makes signing keys, and says what the DNS must tell of them.  Works on
 * files alone, without a server. */
#pragma once
/* 'words' stand behind "dkim" and are changed.  The file is read for records only.  Returns the
 * exit code, with cause and remedy on stderr. */
int cli_dkim(const char *config_file, char **words, int word_count);
