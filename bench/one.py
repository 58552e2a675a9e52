# SPDX-License-Identifier: MIT
"""One run: a world, one mail server in it, one work.  Reads what to do as JSON from stdin, writes what came of it to the file named there.

bench/run.py starts it in namespaces of its own (network, mounts, processes), where port 25 and port 53 are free, /etc/resolv.conf names the
simulated Internet, and the end of this process is the end of everything it started.
"""
import json
import os
import shutil
import smtplib
import subprocess
import sys
import threading
import time

import namespace
import peers
from meter import Meter
from rig import Failure, Internet, expect, free_port, program, stop, wait_for
from works import SENDER, WORKS, World

START_S = 20       # until a server listens
SETTLE_S = 1.0     # after the start, not counted; after the last arrival, counted: queue files go, logs are written
POLL_S = 0.1
STALL_S = 120      # nothing has arrived for so long: give up
URGENT_IDLE = 30   # urgent messages before the post begins
URGENT_S = 1.0     # one a second


NOTHING = {"cpu_s": 0, "written": None, "flushes": None}


def per(after, before, name, count):
    return None if after[name] is None else (after[name] - before[name]) / count


class Place:
    """Where a mail server runs.  The spool is on disk; logs and sockets are in memory, so that bytes written are the queue's."""

    def __init__(self, task, internet):
        self.meter = Meter(task["group"])
        self.cache, self.directory = task["cache"], task["directory"]
        self.spool, self.run = os.path.join(self.directory, "spool"), os.path.join(self.directory, "run")
        self.is_private = bool(task["namespace"])
        self.starttls = WORKS[task["work"]].starttls
        self.dns, self.smtp_port = internet.about["dns"], internet.about["smtp_port"]
        self.port = free_port()
        self.certificate, self.key = os.path.join(self.directory, "cert.pem"), os.path.join(self.directory, "key.pem")
        self.processes, self.files = [], []

    def log_file(self, name):
        self.files.append(open(os.path.join(self.run, name), "ab"))
        return self.files[-1]

    def spawn(self, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", self.log_file("stdout"))
        options.setdefault("stderr", self.log_file("stderr"))
        self.processes.append(self.meter.spawn(command, **options))
        return self.processes[-1]

    def command(self, command):
        """A helper that ends by itself, before the measuring begins."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        expect(done.returncode == 0, "%s: %s%s" % (" ".join(command), done.stdout, done.stderr))
        return done.stdout

    def make_certificate(self):
        self.command(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                      "-subj", "/CN=relay.test", "-keyout", self.key, "-out", self.certificate])

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.run)):
            path = os.path.join(self.run, name)
            if os.path.isfile(path):
                with open(path, errors="replace") as f:
                    text += "--- %s\n%s" % (name, f.read()[-1500:])
        return text

    def close(self):
        for process in self.processes:
            try:
                stop(process, seconds=10)
            except Failure:
                pass
        self.meter.close()
        for file in self.files:
            file.close()


class Source:
    def __init__(self, place, arguments, to=None):
        to = to or "127.0.0.1:%d" % place.port
        self.process = subprocess.Popen([program("mailrace-bench"), "source", "--to", to] + arguments, stdout=subprocess.PIPE, text=True)

    def is_done(self):
        return self.process.poll() is not None

    def report(self):
        text = self.process.communicate()[0]
        expect(text.strip(), "the source said nothing")
        return json.loads(text)


def arrived(internet):
    return internet.stats()["receipts"]


def is_listening(place):
    for process in place.processes:
        expect(process.poll() in (None, 0), "the server has ended")
    try:
        with smtplib.SMTP("127.0.0.1", place.port, "ready.test", timeout=5) as s:
            return s.ehlo()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


class Wait:
    """Until all is there, or nothing comes any more."""

    def __init__(self, internet, expected, progress):
        self.internet, self.expected, self.progress = internet, expected, progress
        self.last, self.since = -1, time.monotonic()

    def run(self, source=None):
        while True:
            time.sleep(POLL_S)
            count = arrived(self.internet)
            self.progress(count, self.expected)
            expect(source is None or source.process.poll() in (None, 0, 1), "the source did not understand us")
            if count >= self.expected and (source is None or source.is_done()):
                return
            if count != self.last:
                self.last, self.since = count, time.monotonic()
            if time.monotonic() - self.since > STALL_S:
                return


class Urgent:
    """Single messages, one a second, by hand, each timed from the first byte of its connection to its arrival."""

    def __init__(self, place, domains):
        self.place, self.domains = place, domains
        self.sent, self.stopping = {}, threading.Event()

    def send(self, kind):
        n = len(self.sent)
        name = "%s-%d" % (kind, n)
        rcpt = "urgent%d@d%d.example" % (n, n % min(10, self.domains))
        self.sent[name] = rcpt
        now_us = int(time.time() * 1e6)
        text = ("From: <alarm@sender.example>\r\nTo: <%s>\r\nSubject: now\r\nX-Mailrace-Id: %s\r\nMessage-ID: <%s@sender.example>\r\n"
                "X-Mailrace-Sent: %d\r\n\r\nNow.\r\n")
        with smtplib.SMTP("127.0.0.1", self.place.port, "client.test", timeout=60) as s:
            s.sendmail("alarm@sender.example", [rcpt], text % (rcpt, name, name, now_us))

    def every_second(self, kind, count=None):
        due = time.monotonic()
        while not self.stopping.is_set() and count != 0:
            self.send(kind)
            count = count - 1 if count else count
            due += URGENT_S if kind != "idle" else URGENT_S / 5
            self.stopping.wait(max(0, due - time.monotonic()))

    def begin(self):
        self.thread = threading.Thread(target=self.every_second, args=("busy",), daemon=True)
        self.thread.start()

    def end(self):
        self.stopping.set()
        self.thread.join()


class Run:
    def __init__(self, task):
        self.task = task
        self.work = WORKS[task["work"]]
        self.world = World(self.work, task["recipients"])
        self.directory = task["directory"]
        self.takes_starttls = True

    def progress(self, done, total):
        print("%d %d" % (done, total), flush=True)

    def main(self):
        arguments = [] if self.task["counting"] else ["--no-hash"] if self.work.hard else ["--no-hash", "--quiet-ledger"]
        if self.task["namespace"]:
            arguments += ["--dns-port", "53", "--smtp-port", "25"]
        self.internet = Internet(self.directory, self.world.scenario(), arguments)
        try:
            return self.ceiling() if self.task["peer"] == "ceiling" else self.with_peer()
        finally:
            self.internet.stop()

    # --- the bare ceiling: no mail server at all ---

    def ceiling(self):
        started = time.monotonic()
        source = Source(None, self.source_arguments(), "127.0.0.3:%d" % self.internet.about["smtp_port"])
        Wait(self.internet, self.world.count, self.progress).run(source)
        return self.figures(source.report(), NOTHING, NOTHING, 0, time.monotonic() - started)

    # --- one mail server ---

    def with_peer(self):
        peer = peers.load(self.task["peer"])
        self.takes_starttls = getattr(peer, "TAKES_STARTTLS", True)
        place = Place(self.task, self.internet)
        try:
            if place.starttls:
                place.make_certificate()
            peer.start(place)
            wait_for(lambda: is_listening(place), "the server to listen", START_S)
            time.sleep(SETTLE_S)
            return self.urgent(place) if self.work.urgent else self.measure(place)
        except Exception:
            print(place.logs(), file=sys.stderr)
            raise
        finally:
            try:
                peer.stop(place)
            finally:
                place.close()

    def source_arguments(self, identity="post"):
        arguments = self.world.source_arguments(os.path.join(self.directory, "rcpts")) + ["--id", identity]
        return arguments + (["--starttls"] if self.work.starttls and self.takes_starttls else [])

    def measure(self, place, identity="post", already=0):
        counting = self.task["counting"] and place.meter.count_begin()
        before, started = place.meter.snapshot(place.spool), time.monotonic()
        if not place.meter.sampler:
            place.meter.watch()
        source = Source(place, self.source_arguments(identity))
        Wait(self.internet, already + self.world.good_count(), self.progress).run(source)
        seconds = time.monotonic() - started
        time.sleep(SETTLE_S)
        after = place.meter.snapshot(place.spool)
        calls = place.meter.count_end() if counting else None
        figures = self.figures(source.report(), before, after, place.meter.peak(), seconds, identity)
        if calls:
            figures["syscalls_per_rcpt"] = calls["calls"] / self.world.count
            figures["syncs_per_rcpt"] = sum(calls["syncs"].values()) / self.world.count
            figures["syncs"] = calls["syncs"]
        return figures

    def urgent(self, place):
        """Urgent mail while nothing else goes on; then the post alone, of which the first one only warms up; then both."""
        urgent = Urgent(place, self.world.domain_count)
        urgent.every_second("idle", URGENT_IDLE)
        wait_for(lambda: arrived(self.internet) >= len(urgent.sent), "the urgent mail of an idle server", 60)
        self.measure(place, "warming", arrived(self.internet))
        alone = self.measure(place, "alone", arrived(self.internet))
        before = arrived(self.internet)
        urgent.begin()
        figures = self.measure(place, "post", before)
        urgent.end()
        Wait(self.internet, before + self.world.count + sum(name.startswith("busy") for name in urgent.sent), self.progress).run()
        for kind in ("idle", "busy"):
            count = sum(name.startswith(kind) for name in urgent.sent)
            found = self.internet.ask("latency " + kind)[0]
            figures["urgent_" + kind] = {"count": count, "missing": count - found["messages"],
                                         "ms": {name: found["latency_us"][name] / 1000 for name in ("p50", "p90", "p99", "max")}}
        figures["alone_rcpts_per_s"] = alone["rcpts_per_s"]
        return figures

    # --- what came of it ---

    def received(self, stats, identity):
        """(recipients that have it, duplicates, when the last got it, latencies).  Where some cannot have it, by name."""
        if not self.work.hard:
            if not arrived(self.internet):
                return 0, 0, 0, None
            found = self.internet.ask("latency " + identity)[0]
            return found["recipients"] - stats["duplicates"], stats["duplicates"], found["last_arrival_us"], found["latency_us"]
        good = self.world.good()
        rows = [row for row in self.internet.ask("recipients") if row["id"].startswith(identity) and row["rcpt"] in good]
        return len(rows), sum(row["count"] - 1 for row in rows), max([row["first_us"] for row in rows] or [0]), stats["latency_us"]

    def figures(self, source, before, after, peak, seconds, identity="post"):
        stats = self.internet.stats()
        received, duplicates, last_us, latency = self.received(stats, identity)
        expected = self.world.good_count()
        took_s = max(0.001, (last_us - source["begun_us"]) / 1e6)
        cpu = after["cpu_s"] - before["cpu_s"]
        return {
            "recipients": self.world.count, "expected": expected, "received": received, "seconds": took_s, "wall_s": seconds,
            "missing": expected - received, "duplicates": duplicates, "violations": stats["violation_count"],
            "violation_kinds": stats["violations"] if stats["violation_count"] else None,
            "refused": source["refused"], "unanswered": source["unanswered"],
            "rcpts_per_s": received / took_s, "cpu_s": cpu, "cpu_ms_per_rcpt": 1000 * cpu / max(1, received), "rss_mb": peak / 1e6,
            "written_per_rcpt": per(after, before, "written", self.world.count), "flushes_per_rcpt": per(after, before, "flushes", self.world.count),
            "connections": stats["connections"], "transactions": stats["transactions"], "messages": stats["messages"], "round_trips": stats["round_trips"],
            "round_trips_warm": stats["round_trips_warm"], "messages_warm": stats["messages_warm"],
            "tls": stats["tls"], "tls_repeated": stats["tls_repeated"], "tls_resumed": stats["tls_resumed"],
            "domains": self.world.domain_count,
            "dns_questions": stats["dns"]["questions"], "latency_us": latency,
            "handover_us": source["handover_us"], "transaction_us": source.get("whole_us") or source.get("transaction_us"), "handover_s": source["elapsed_ms"] / 1000,
        }


def main():
    task = json.load(sys.stdin)
    namespace.enter(task)
    try:
        result = Run(task).main()
    except Failure as failure:
        result = {"error": str(failure)}
    with open(task["result"], "w") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
