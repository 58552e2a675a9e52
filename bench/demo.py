# SPDX-License-Identifier: MIT
"""The main job, on loopback: one list mailing of 20,000 recipients over 1,000 domains of every kind of host.

What is printed at the end is computed from the log of mailraced and from what the simulated hosts hold, never from what we believe; it
fails loudly when a recipient is missing, got the mail twice, or neither got it nor was reported to the sender.
"""
import email
import json
import os
import random
import subprocess
import sys
import time

from rig import Failure, Rig, expect, program

RECIPIENTS = int(os.environ.get("RECIPIENTS", "20000"))
DOMAINS = int(os.environ.get("DOMAINS", "1000"))
PER_TRANSACTION = int(os.environ.get("PER_TRANSACTION", "500"))
LIMIT_S = 15
SENDER = "news-bounces@lists.sender.example"
SCENARIO = """
# Four in ten domains are at five big operators, as in life; the rest have a host of their own.
personality slow      latency=20ms
personality clear     starttls=no
personality grey      greylist=700ms
personality old       no-pipelining no-smtputf8 no-dsn
personality strict    messages=3 connections=4
personality careless  unknown=10%%
generate %d hosted=40%% mix=slow:5%%,clear:8%%,grey:8%%,old:4%%,strict:3%%,careless:6%%
domain lists.sender.example store
""" % DOMAINS
CONFIG = """
retry: {intervals: [1s, 2s, 5s], expire: 1h, jitter: 10%}
log: {format: json, level: info}
sites: {default: {rate: 1000/s}}
"""


def recipients():
    """A few domains have many subscribers, most have few."""
    chance = random.Random(4711)
    weights = [1 / (rank + 5) for rank in range(DOMAINS)]
    chosen = list(range(DOMAINS)) + chance.choices(range(DOMAINS), weights, k=max(0, RECIPIENTS - DOMAINS))
    return ["user%d@d%d.example" % (n, domain) for n, domain in enumerate(chosen[:RECIPIENTS])]


class Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, total):
        self.total = total
        self.is_terminal = sys.stdout.isatty()
        self.begun = self.last = time.monotonic()

    def show(self, done, waiting, final=False):
        now = time.monotonic()
        if not final and not self.is_terminal and now - self.last < 2:
            return
        self.last = now
        share = done / self.total
        bar = "#" * int(40 * share) + "-" * (40 - int(40 * share))
        line = "  [%s] %6d of %d ended, %6d waiting, %4.1f s" % (bar, done, self.total, waiting, now - self.begun)
        print(("\r" if self.is_terminal else "") + line, end="" if self.is_terminal and not final else "\n", flush=True)


def hand_over(rig, rcpts):
    path = os.path.join(rig.directory, "recipients")
    with open(path, "w") as f:
        f.write("\n".join(rcpts) + "\n")
    return subprocess.Popen([program("mailrace-bench"), "source", "--to", "127.0.0.1:%d" % rig.port, "--rcpt-file", path,
                             "--per-transaction", str(PER_TRANSACTION), "--order", "mailman", "--sender", SENDER, "--list",
                             "news.lists.sender.example"], stdout=subprocess.PIPE, text=True)


def ended(status):
    return status["delivered"] + status["failed"] + status["expired"] + status["cancelled"]


def run(rig, rcpts):
    """Hands the mailing over and waits until nothing waits; gives what the source says, and the seconds."""
    begun = time.monotonic()
    source = hand_over(rig, rcpts)
    progress = Progress(len(rcpts))
    while True:
        status = rig.status()
        progress.show(min(ended(status), len(rcpts)), status["recipients"])
        if source.poll() is not None and status["recipients"] == 0:
            break
        if time.monotonic() - begun > 120:
            raise Failure("the mailing did not end in two minutes: %s" % status)
        time.sleep(0.1)
    seconds = time.monotonic() - begun
    progress.show(len(rcpts), 0, final=True)
    text = source.stdout.read()
    expect(source.returncode == 0, "the hand-over failed: %s" % text)
    return json.loads(text), seconds


def reported(rig):
    """The recipients that the reports in the sender's mailbox name as failed."""
    names = set()
    for row in rig.internet.ask("messages lists.sender.example"):
        for part in email.message_from_string(row["raw"]).walk():
            recipient = part.get("Final-Recipient")
            if recipient and part["Action"] == "failed":
                names.add(recipient.split(";")[1].strip())
    return names


def check(rig, rcpts):
    """Counts every recipient at both ends."""
    wanted = set(rcpts)
    receipts = {rcpt: n for rcpt, n in rig.receipts().items() if rcpt in wanted}
    told = reported(rig)
    ends = {rcpt: events for rcpt, events in rig.ends().items() if rcpt in wanted}
    failed = {rcpt for rcpt, events in ends.items() if events != ["delivered"]}
    deferred = {row["to"] for row in rig.events("deferred") if row["to"] in wanted}

    missing = wanted - set(receipts) - told
    twice = [rcpt for rcpt, n in receipts.items() if n != 1]
    expect(not missing, "%d recipients are missing: %s" % (len(missing), sorted(missing)[:5]))
    expect(not twice, "%d recipients got it more than once: %s" % (len(twice), twice[:5]))
    expect(not (set(receipts) & told), "delivered and yet reported: %s" % sorted(set(receipts) & told)[:5])
    expect(all(len(events) == 1 for events in ends.values()) and set(ends) == wanted, "the log does not end every recipient once")
    expect(failed == told, "the log and the reports differ")
    rig.expect_no_violation()
    return len(receipts), len(deferred & set(receipts)), len(told)


def summary(rig, rcpts, source, seconds):
    delivered, later, failed = check(rig, rcpts)
    stats = rig.internet.stats()
    rows = [
        ("recipients", "%d over %d domains, handed over in %d transactions in %.1f s" % (len(rcpts), DOMAINS, source["transactions"], source["elapsed_ms"] / 1000)),
        ("delivered", "%d, each exactly once" % delivered),
        ("  of them after a deferral", str(later)),
        ("failed and reported", "%d, in %d reports" % (failed, len(rig.events("reported")))),
        ("messages", "%d in %.1f s: %d messages/s, %d recipients/s" % (stats["messages"], seconds, stats["messages"] / seconds, len(rcpts) / seconds)),
        ("connections", "%d for %d transactions" % (stats["connections"], stats["transactions"])),
        ("under TLS", "%.0f %% of the connections, %d of them resumed" % (100 * stats["tls"] / max(1, stats["connections"]), stats["tls_resumed"])),
        ("name server", "%d questions" % stats["dns"]["questions"]),
    ]
    print()
    for name, value in rows:
        print("  %-28s %s" % (name, value))
    expect(seconds < LIMIT_S or "BUILD" in os.environ, "the mailing took %.1f s, more than %d" % (seconds, LIMIT_S))


def main():
    print("mailrace: a mailing of %d recipients over %d domains; everything on loopback, in one temporary directory" % (RECIPIENTS, DOMAINS))
    try:
        with Rig(SCENARIO, CONFIG) as rig:
            rcpts = recipients()
            source, seconds = run(rig, rcpts)
            summary(rig, rcpts, source, seconds)
    except Failure as failure:
        print("\nDEMO FAILED: %s" % failure)
        return 1
    print("\n  Nobody was lost, nobody got it twice.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
