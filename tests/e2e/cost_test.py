# SPDX-License-Identifier: MIT
"""What a message costs, in counts that do not depend on the machine: instructions, under callgrind.

The difference of two runs of unequal size is taken, so what a start and a stop cost does not count.  Libraries count
too (their versions are Debian 12's), the kernel does not.  When a change moves a figure out of its band on purpose, move
the band, and say why in the commit.
"""
import re
import subprocess

from rig import Rig, expect, main, program, wait_for

# instructions: (least, most)
SINGLE_MESSAGE = (115000, 155000) # one recipient, 1 KiB, in over one of 10 connections, out over one of 20
LIST_RECIPIENT = (14500, 20500)   # of a post of 4 KiB, 500 a transaction, 20 domains

SCENARIO = "personality receiver starttls=no\ngenerate 20 mix=receiver:100%\n"
CONFIG = """
sites: {default: {rate: 100000/s}}
delivery: {port: %d, allow_loopback: true, threads: 1}
"""


def run_under_callgrind(rig, source):
    """The instructions of a server that is handed this, delivers all of it, and ends."""
    rig.write_config(CONFIG % rig.internet.about["smtp_port"])
    out = rig.directory + "/callgrind.out"
    with open(rig.log_path, "ab") as log:
        rig.log_file = log
        rig.daemon = subprocess.Popen(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, "--log-file=/dev/null",
                                       program("mailraced"), "-c", rig.config_path], stderr=log, stdin=subprocess.DEVNULL)
        wait_for(rig.is_up, "mailraced to listen under callgrind", 60)
        subprocess.run([program("mailrace-bench"), "source", "--to", "127.0.0.1:%d" % rig.port, "--domains", "20"] + source,
                       check=True, stdout=subprocess.DEVNULL)
        rig.wait_empty(120)
        expect(rig.stop() == 0, "it did not end in peace")
    with open(out) as f:
        return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))


def cost_of_one(few, many, source):
    counts = []
    for number in (few, many):
        with Rig(SCENARIO, start=False) as rig:
            counts.append(run_under_callgrind(rig, source + ["--recipients", str(number)]))
    return (counts[1] - counts[0]) / (many - few)


def expect_in(band, cost, what):
    print("     %s: %d instructions (band %d to %d)" % (what, cost, band[0], band[1]))
    expect(band[0] <= cost <= band[1], "%s costs %d instructions, outside of %d to %d" % (what, cost, band[0], band[1]))


def test_a_single_message_costs_what_it_did():
    source = ["--personalised", "--connections", "10", "--pipelining", "--size", "1k"]
    expect_in(SINGLE_MESSAGE, cost_of_one(200, 1200, source), "a message to one recipient")


def test_a_recipient_of_a_list_post_costs_what_it_did():
    source = ["--per-transaction", "500", "--pipelining", "--size", "4k"]
    expect_in(LIST_RECIPIENT, cost_of_one(2000, 12000, source), "a recipient of a list post")


if __name__ == "__main__":
    main(globals())
