# SPDX-License-Identifier: MIT
"""Measures mail servers: every work, every server that is here, in rotating order, several rounds.

    WORKS=W1,W2 PEERS=mailrace,postfix ROUNDS=3 SCALE=1 python3 bench/run.py

Results go to OUT (bench-results.json), a table to the terminal.  QUICK=1 is the two-minute selection.  See docs/BENCHMARKS.md.
"""
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import meter
import namespace
import peers
import report
from rig import BUILD, TOP, program
from works import WORKS

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = {"works": ["W1", "W1m", "W2", "W3", "W4"], "peers": ["mailrace", "postfix"], "rounds": 1, "scale": 0.2}
CEILINGS = ["W2", "W4"]  # works whose injection goes straight to the receivers too
COUNTING_SHARE = 0.2     # of the size, for runs that only count system calls
RUN_LIMIT_S = int(os.environ.get("RUN_LIMIT", "1200"))


def listed(name, default):
    value = os.environ.get(name, "").replace(",", " ").split()
    return value or default


class Options:
    def __init__(self):
        quick = os.environ.get("QUICK") == "1"
        self.works = listed("WORKS", QUICK["works"] if quick else list(WORKS))
        self.peers = listed("PEERS", [name for name in peers.available() if not quick or name in QUICK["peers"]])
        self.rounds = int(os.environ.get("ROUNDS") or (QUICK["rounds"] if quick else 3))
        self.scale = float(os.environ.get("SCALE") or (QUICK["scale"] if quick else 1))
        self.counting = os.environ.get("COUNT", "0" if quick else "1") == "1"
        self.may_install = os.environ.get("INSTALL", "1" if os.geteuid() == 0 and not quick else "0") == "1"
        self.directory = os.environ.get("DIR") or os.path.join(TOP, "build", "bench")
        self.out = os.environ.get("OUT") or os.path.join(TOP, "bench-results.json")
        unknown = [name for name in self.works if name not in WORKS] + [name for name in self.peers if name not in peers.NAMES]
        if unknown:
            sys.exit("unknown: %s (works: %s; peers: %s)" % (" ".join(unknown), " ".join(WORKS), " ".join(peers.NAMES)))


class Line:
    """Progress: one line that is written over on a terminal, else one line a run."""

    def __init__(self, total):
        self.total, self.number, self.label = total, 0, ""
        self.is_terminal = sys.stdout.isatty()

    def begin(self, label):
        self.number, self.label, self.since = self.number + 1, label, time.monotonic()
        self.show("...")

    def show(self, text):
        if self.is_terminal:
            print("\r\033[K[%d/%d] %s %s" % (self.number, self.total, self.label, text), end="", flush=True)

    def end(self, text):
        print("%s[%d/%d] %s %s (%.0f s)" % ("\r\033[K" if self.is_terminal else "", self.number, self.total, self.label, text,
                                            time.monotonic() - self.since), flush=True)


class Bench:
    def __init__(self, options):
        self.options = options
        self.is_private = namespace.is_possible()
        self.cache = os.path.join(options.directory, "peers")
        os.makedirs(self.cache, exist_ok=True)
        self.child = None
        self.runs = []

    # --- who takes part ---

    def find_peers(self):
        self.versions = {}
        for name in self.options.peers:
            peer = peers.load(name)
            if peer.NEEDS_ROOT and not self.is_private:
                print("%s: left out, it needs root for namespaces of its own" % name)
                continue
            found = peer.find(self.cache, self.options.may_install)
            if found:
                self.versions[name] = found
            else:
                print("%s: left out, not here (INSTALL=1 fetches it into %s)" % (name, self.cache))

    # --- one run ---

    def task(self, peer, work, recipients, counting, directory):
        return {"peer": peer, "work": work, "recipients": recipients, "counting": counting, "directory": directory,
                "namespace": self.is_private, "cache": self.cache, "group": meter.make_group(), "result": os.path.join(directory, "result.json")}

    def run(self, peer, work, round_number, line, counting=False):
        recipients = WORKS[work].recipients(self.options.scale * (COUNTING_SHARE if counting else 1), peer not in ("mailrace", "ceiling"))
        line.begin("%-4s %-10s %s" % (work, peer, "counting system calls" if counting else "round %d" % (round_number + 1)))
        directory = tempfile.mkdtemp(prefix="run-", dir=self.options.directory)
        task = self.task(peer, work, recipients, counting, directory)
        try:
            result = self.execute(task, line)
        finally:
            self.stop()
            if task["group"]:
                meter.end_group(task["group"])
            shutil.rmtree(directory, ignore_errors=True)
        result.update({"peer": peer, "work": work, "round": round_number, "counting": counting})
        self.runs.append(result)
        line.end(report.run_line(result))
        self.save()

    def execute(self, task, line):
        command = [sys.executable, os.path.join(HERE, "one.py")]
        if task["namespace"]:
            command = namespace.command(command)
        with open(os.path.join(task["directory"], "errors"), "w+") as errors:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=TOP)
            self.child.stdin.write(json.dumps(task))
            self.child.stdin.close()
            self.watch(line)
            code = self.child.wait()
            errors.seek(0)
            said = errors.read()
        if os.path.exists(task["result"]):
            with open(task["result"]) as f:
                result = json.load(f)
            return dict(result, said=said[-4000:]) if "error" in result else result
        return {"error": "ended with %s" % code, "said": said[-4000:]}

    def watch(self, line):
        """A run that takes too long ends as all do: by the end of its first process."""
        signal.signal(signal.SIGALRM, lambda number, frame: self.child.kill())
        signal.alarm(RUN_LIMIT_S)
        for row in self.child.stdout:
            words = row.split()
            if len(words) == 2:
                line.show("%s of %s" % tuple(words))
        signal.alarm(0)

    # --- all of them ---

    def main(self):
        self.find_peers()
        names = list(self.versions)
        if not names:
            sys.exit("nothing to measure")
        o = self.options
        ceilings = [work for work in CEILINGS if work in o.works]
        line = Line(o.rounds * (len(o.works) * len(names) + len(ceilings)) + (len(o.works) * len(names) if o.counting else 0))
        self.machine = dict(machine(o.directory), disk=disk(o.directory))
        for number in range(o.rounds):
            for at, work in enumerate(o.works):
                turn = (number + at) % len(names)
                for peer in names[turn:] + names[:turn]:
                    self.run(peer, work, number, line)
            for work in ceilings:
                self.run("ceiling", work, number, line)
        if o.counting:
            for work in o.works:
                for peer in names:
                    self.run(peer, work, 0, line, counting=True)

    def results(self):
        o = self.options
        return {"machine": self.machine, "versions": self.versions, "works": {name: WORKS[name].title for name in o.works}, "scale": o.scale,
                "rounds": o.rounds, "namespace": self.is_private, "tuning": {name: peers.load(name).TUNING for name in self.versions}, "runs": self.runs}

    def save(self):
        with open(self.options.out + ".new", "w") as f:
            json.dump(self.results(), f, indent=1)
        os.replace(self.options.out + ".new", self.options.out)

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def first_line(path, prefix):
    try:
        with open(path) as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(prefix)), "?")
    except OSError:
        return "?"


def machine(directory):
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"cpu": first_line("/proc/cpuinfo", "model name"), "cores": os.cpu_count(), "memory_mb": int(first_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
            "kernel": platform.release(), "system": first_line_of_release(), "filesystem": kind, "load": os.getloadavg()[0],
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit}


def first_line_of_release():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "?"


def disk(directory):
    """What the disk can do under this directory: mailrace-bench disk, where it is built in."""
    done = subprocess.run([program("mailrace-bench"), "disk", "--directory", directory], capture_output=True, text=True)
    try:
        return {name: value for name, value in json.loads(done.stdout).items() if name != "directory"}  # the reader's is another
    except ValueError:
        return {}


def main():
    if not os.path.exists(program("mailrace-bench")):
        sys.exit("no mailrace-bench in %s: make first" % BUILD)
    bench = Bench(Options())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        bench.main()
    except KeyboardInterrupt:
        print("\nstopped")
    if bench.runs:
        print(report.table(bench.results()))
        print("results: %s" % bench.options.out)
    return 1 if any("error" in run or run["missing"] or run["duplicates"] for run in bench.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
