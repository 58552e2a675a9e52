# SPDX-License-Identifier: MIT
"""The works: what is handed over, to whom, and when it counts as done.

Every work is a world (a scenario of 'mailrace-bench internet'), one injection (options of 'mailrace-bench source') and
the set of recipients that must have the mail exactly once.  SENDER's domain exists, so that bounces have a home.
"""
import random

DOMAINS = 1000
SENDER = "post-bounces@sender.example"
PLAIN, TLS = "chunking starttls=no", "chunking starttls=ok"  # and PIPELINING, SIZE, 8BITMIME, DSN: what large receivers offer


class Work:
    def __init__(self, name, title, recipients, source, keys=PLAIN, starttls=False, peer_share=1.0, hard=False, urgent=False):
        self.name, self.title = name, title
        self.full_recipients = recipients
        self.source = source          # options of the source
        self.keys = keys              # of every receiving host
        self.starttls = starttls      # the hand-over is encrypted too
        self.peer_share = peer_share  # so much of it for other MTAs, which take minutes
        self.hard = hard              # some domains defer, some are dead, some mailboxes unknown
        self.urgent = urgent          # single messages while the post runs

    def recipients(self, scale, is_peer=False):
        return max(20, int(self.full_recipients * scale * (self.peer_share if is_peer else 1)))

    def domains(self, recipients):
        """A part of a personalised work has the same part of its domains: as many messages for each."""
        if not self.is_post():
            return max(1, DOMAINS * min(recipients, self.full_recipients) // self.full_recipients)
        return max(1, min(DOMAINS, recipients // 2))

    def is_post(self):
        return "--personalised" not in self.source


LIST = ["--per-transaction", "500", "--pipelining"]
# GNU Mailman's own shape: one connection, no pipelining, and each transaction waits for the one before.
MAILMAN = ["--per-transaction", "10", "--order", "mailman"]
SINGLE = ["--personalised", "--connections", "10", "--pipelining"]

WORKS = {work.name: work for work in (
    Work("W1", "list post, 500 recipients a transaction", 20000, LIST),
    Work("W1m", "list post, 10 a transaction on one serial connection", 20000, MAILMAN, peer_share=0.5),
    Work("W2", "personalised, one recipient a message, 10 connections", 10000, SINGLE, peer_share=0.2),
    Work("W3", "W2, every reply of the receivers 20 ms late", 10000, SINGLE, keys=PLAIN + " latency=20ms", peer_share=0.2),
    Work("W4", "W2 over STARTTLS, in and out", 10000, SINGLE, keys=TLS, starttls=True, peer_share=0.2),
    Work("W5", "W1 with 10 % of domains deferring, 5 % dead, 1 % of mailboxes unknown", 20000, LIST, hard=True),
    Work("W6", "one urgent message a second while a post runs", 200000, LIST, peer_share=0.1, urgent=True),
    Work("W7", "W2 with bodies of 100 KiB", 2000, SINGLE + ["--size", "100k"], peer_share=0.5),
)}


class World:
    """The domains and recipients of one run of a work.  The same for every MTA."""

    def __init__(self, work, recipients):
        chance = random.Random(4711)
        self.work, self.count = work, recipients
        self.domain_count = work.domains(recipients)
        names = ["d%d.example" % n for n in range(self.domain_count)]
        others = names[1:]
        chance.shuffle(others)
        share = self.domain_count if work.hard else 0
        self.deferring = set(others[:share // 10])
        self.dead = set(others[share // 10:share // 10 + share // 20])
        self.addresses = self.draw(names, chance) if work.hard else None

    def draw(self, names, chance):
        """As the source does: the n-th domain has 1/n as many recipients as the first, and each has one."""
        weights = [1 / (rank + 1) for rank in range(len(names))]
        chosen = names + chance.choices(names, weights, k=self.count - len(names))
        unknown = set(chance.sample(range(self.count), self.count // 100))
        return ["%suser%d@%s" % ("unknown-" if n in unknown else "", n, name) for n, name in enumerate(chosen[:self.count])]

    def scenario(self):
        lines = ["personality receiver " + self.work.keys]
        lines += ["generate %d mix=receiver:100%%" % self.domain_count] if not self.work.hard else [
            "domain d%d.example receiver%s" % (n, self.fate("d%d.example" % n)) for n in range(self.domain_count)]
        lines += ["domain sender.example receiver", "host relay.test 127.0.0.3 relay " + self.work.keys]
        return "\n".join(lines) + "\n"

    def fate(self, name):
        return " defer=100%" if name in self.deferring else " dead" if name in self.dead else ""

    def good_count(self):
        return self.count if self.addresses is None else len(self.good())

    def good(self):
        """The recipients that can have the mail; None: all that the source makes."""
        if self.addresses is None:
            return None
        lost = self.deferring | self.dead
        return {a for a in self.addresses if a.split("@")[1] not in lost and not a.startswith("unknown-")}

    def source_arguments(self, rcpt_file):
        arguments = list(self.work.source) + ["--sender", SENDER]
        if self.addresses is None:
            return arguments + ["--recipients", str(self.count), "--domains", str(self.domain_count)]
        with open(rcpt_file, "w") as f:
            f.write("\n".join(self.addresses) + "\n")
        return arguments + ["--rcpt-file", rcpt_file]
