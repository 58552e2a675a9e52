/* SPDX-License-Identifier: MIT */
/* Source: the subcommand that hands mail to an SMTP server and reports what it said. */
#pragma once

/* 0: everything was accepted; 1: not everything; else sysexits. */
int source_main(int argc, char **argv);
