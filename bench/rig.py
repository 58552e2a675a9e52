# SPDX-License-Identifier: MIT
"""The rig of demo and end-to-end tests: a simulated Internet, a mailraced in front of it, and eyes on both.

    with Rig('''domain a.example''') as rig:
        rig.send("list@x.example", ["user1@a.example"])
        rig.wait_empty()
        rig.expect_delivered(["user1@a.example"])

Everything lives in one temporary directory, on loopback and unprivileged ports; what was started is ended by pid.
Python's standard library only.  BUILD names the directory with the programs (default build/plain).
"""
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build/plain"))
# Programs built with sanitizers are slower; waits, not assertions, are stretched.
PATIENCE = float(os.environ.get("PATIENCE", "1"))
# 1: the engine's own thread delivers too.
THREADS = os.environ.get("THREADS", "2")


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def program(name):
    return os.path.join(BUILD, name)


def wait_for(condition, what, seconds=20):
    """Calls condition() until it is true; its last value is returned."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %.0f s for: %s" % (seconds * PATIENCE, what))
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Internet:
    def __init__(self, directory, scenario, arguments=()):
        self.control_path = os.path.join(directory, "internet.sock")
        path = os.path.join(directory, "scenario")
        with open(path, "w") as f:
            f.write(scenario)
        command = [program("mailrace-bench"), "internet", "--scenario", path, "--die-with-parent",
                   "--control", self.control_path, "--ca", os.path.join(directory, "ca.pem")]
        self.process = subprocess.Popen(command + list(arguments), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        expect(line, "the simulated Internet does not start: " + scenario)
        self.about = json.loads(line)

    def ask(self, line):
        """The rows that answer one control line."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30 * PATIENCE)
            s.connect(self.control_path)
            s.sendall(line.encode() + b"\n")
            text = b""
            while not text.endswith(b"\n\n") and text != b"\n":
                piece = s.recv(1 << 16)
                if not piece:
                    break
                text += piece
        rows = [json.loads(row) for row in text.decode().split("\n") if row]
        for row in rows:
            expect("error" not in row, "internet: %s: %s" % (line, row))
        return rows

    def stats(self):
        return self.ask("stats")[0]

    def host(self, name):
        return [row for row in self.ask("hosts") if row["name"] == name][0]

    def stop(self):
        stop(self.process)


def stop(process, how=signal.SIGTERM, seconds=35):
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure("process did not end %d s after signal %d" % (seconds, how))
    if process.stdout:
        process.stdout.close()
    return process.returncode


class Rig:
    """'config' is YAML that is added to (and may override, key by key at the top level) the rig's own."""

    def __init__(self, scenario="domain a.example\n", config="", start=True, arguments=()):
        self.directory = tempfile.mkdtemp(prefix="mailrace-test-")
        self.internet = Internet(self.directory, scenario, arguments)
        self.port = free_port()
        self.control = os.path.join(self.directory, "control.sock")
        self.config_path = os.path.join(self.directory, "mailrace.yaml")
        self.log_path = os.path.join(self.directory, "log")
        self.daemon = None
        open(self.log_path, "w").close()
        self.write_config(config)
        if start:
            self.start()

    def defaults(self):
        return {
            "hostname": "hostname: relay.test",
            "spool": "spool: %s/spool" % self.directory,
            "control": "control: %s" % self.control,
            "listen": 'listen: [{address: "127.0.0.1:%d", role: relay}]' % self.port,
            "limits": "limits: {min_free_space: 1M}",
            "dns": 'dns: {servers: ["%s"], timeout: 500ms, tries: 2}' % self.internet.about["dns"],
            "delivery": "delivery: {port: %d, allow_loopback: true, threads: %s}"
                        % (self.internet.about["smtp_port"], THREADS),
            "retry": "retry: {intervals: [1s, 2s], expire: 1h, jitter: 0%, in_doubt: 1s}",
        }

    def write_config(self, config=""):
        keys = self.defaults()
        for block in re.split(r"\n(?=[a-z])", config.strip()):
            if block.strip():
                keys[block.split(":")[0]] = block
        with open(self.config_path, "w") as f:
            f.write("\n".join(keys.values()) + "\n")

    def start(self, wait=True):
        self.log_file = open(self.log_path, "ab")
        self.daemon = subprocess.Popen([program("mailraced"), "-c", self.config_path],
                                       stderr=self.log_file, stdin=subprocess.DEVNULL)
        if wait:
            wait_for(self.is_up, "mailraced to listen; log: " + self.log_text()[-2000:], 10)

    def is_up(self):
        expect(self.daemon.poll() is None, "mailraced has ended: " + self.log_text()[-3000:])
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.log_file.close()

    def stop(self):
        """Ends the daemon in peace and gives its exit code."""
        code = stop(self.daemon)
        self.log_file.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = 0
        try:
            if self.daemon is not None and self.daemon.poll() is None:
                code = self.stop()
        finally:
            self.internet.stop()
            text = self.log_text()
            if kind is None:
                shutil.rmtree(self.directory)
            else:
                print("kept for you: %s" % self.directory)
                print("\n".join(text.split("\n")[-25:]))
        if kind is None:
            expect(code == 0, "mailraced exited with %s" % code)
            expect("runtime error" not in text and "Sanitizer" not in text, "a sanitizer spoke: " + text[-4000:])

    # --- mail in ---

    def smtp(self, **options):
        return smtplib.SMTP("127.0.0.1", self.port, "client.test", timeout=30 * PATIENCE, **options)

    def send(self, sender, rcpts, body="Hello.\r\n", message_id="1", header="", options=(), rcpt_options=()):
        text = ("From: %s\r\nTo: list\r\nSubject: test\r\nX-Mailrace-Id: %s\r\nMessage-ID: <%s@client.test>\r\n%s\r\n%s"
                % (sender or "nobody", message_id, message_id, header, body))
        with self.smtp() as s:
            refused = s.sendmail(sender, rcpts, text.encode(), list(options), list(rcpt_options))
        expect(not refused, "refused: %s" % refused)

    # --- what became of it ---

    def log_text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def events(self, *names):
        rows = []
        for line in self.log_text().split("\n"):
            if line.startswith("{"):
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    pass
        return [row for row in rows if not names or row["event"] in names]

    def mailrace(self, *arguments, check=True):
        done = subprocess.run([program("mailrace"), "-c", self.config_path] + list(arguments),
                              capture_output=True, text=True, timeout=60 * PATIENCE)
        if check:
            expect(done.returncode == 0, "mailrace %s: %s %s" % (arguments, done.stdout, done.stderr))
        return done

    def rows(self, *arguments):
        return [json.loads(line) for line in self.mailrace(*arguments, "--json").stdout.splitlines()]

    def status(self):
        return self.rows("status")[0]

    def queue(self, *selector):
        return self.rows("queue", *selector)

    def wait_empty(self, seconds=30):
        wait_for(lambda: not self.queue(), "the queue to be empty", seconds)

    def receipts(self):
        """{recipient: how many messages it got}, as the hosts know it."""
        counts = {}
        for row in self.internet.ask("recipients"):
            counts[row["rcpt"]] = counts.get(row["rcpt"], 0) + row["count"]
        return counts

    def expect_delivered(self, rcpts, times=1):
        """These, and nobody else, each so often."""
        got = self.receipts()
        expect(got == {rcpt: times for rcpt in rcpts}, "expected %s, got %s" % (sorted(rcpts)[:20], got if len(got) < 30 else len(got)))

    def ends(self):
        """{recipient: [events that ended it]}"""
        ends = {}
        for row in self.events("delivered", "failed", "expired", "suppressed", "cancelled"):
            ends.setdefault(row["to"], []).append(row["event"])
        return ends

    def expect_no_violation(self):
        stats = self.internet.stats()
        expect(stats["violation_count"] == 0, "protocol violations: %s" % stats["violations"])


def main(names):
    """Runs the test_* functions of a module (or those named on the command line)."""
    wanted = sys.argv[1:]
    passed = failed = 0
    for name, test in list(names.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        start = time.monotonic()
        try:
            test()
            passed += 1
            print("ok   %s (%.1f s)" % (name, time.monotonic() - start), flush=True)
        except Exception:
            failed += 1
            print("FAIL %s" % name)
            traceback.print_exc(file=sys.stdout)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)
