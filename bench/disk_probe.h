/* SPDX-License-Identifier: MIT */
/* Disk probe: the subcommand that says what the disk alone can do: the bare ceiling of every mail
 * server that keeps its promises. */
#pragma once

/* sysexits */
int disk_probe_main(int argc, char **argv);
