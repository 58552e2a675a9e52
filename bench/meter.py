# SPDX-License-Identifier: MIT
"""What a set of processes costs: CPU, memory, bytes written, and (in a run that is not timed) system calls.

As root the processes live in a control group of their own, so that nothing they start and end escapes: its cpu.stat is exact to
the microsecond and includes the dead.  Without it the tree of processes is added up from /proc, with the children each has
waited for.
"""
import os
import shutil
import signal
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
SECTOR = 512
PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_S = 0.1
CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")  # where version 2 may be mounted
SYNCS = ("fsync", "fdatasync", "sync_file_range", "syncfs", "msync")
COUNTED = ("raw_syscalls:sys_enter",) + tuple("syscalls:sys_enter_" + name for name in SYNCS)


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def make_group():
    """A new control group, or None where we may not.  Whoever makes it ends it by end_group()."""
    for top in CGROUPS:
        if os.path.exists(os.path.join(top, "cgroup.controllers")):
            path = os.path.join(top, "mailrace-bench-%d-%d" % (os.getpid(), time.monotonic_ns()))
            try:
                os.mkdir(path)
                return path
            except OSError:
                return None
    return None


def end_group(path):
    """Kills what is still in it."""
    for _ in range(50):
        for pid in read(os.path.join(path, "cgroup.procs")).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass
        try:
            os.rmdir(path)
            return
        except OSError:
            time.sleep(0.1)


def stat_fields(pid):
    """/proc/PID/stat behind the name: state, parent, ..."""
    return read("/proc/%d/stat" % pid).rpartition(")")[2].split()


def disk_counts(directory):
    """What reached the disk under 'directory', from whomever: pages dirtied by a process would be an easier thing to attribute, but
    Linux counts a page again each time it changes, and large folios whole."""
    subprocess.run(["sync", "-f", directory], check=True)
    device = os.stat(directory).st_dev
    fields = read("/sys/dev/block/%d:%d/stat" % (os.major(device), os.minor(device))).split()
    if len(fields) < 7:
        return {"written": None, "flushes": None}
    return {"written": int(fields[6]) * SECTOR, "flushes": int(fields[15]) if len(fields) > 15 else None}


class Meter:
    def __init__(self, group):
        self.group = group
        self.roots = []
        self.peak_bytes = 0
        self.perf = None
        self.stopping = threading.Event()
        self.sampler = None

    # --- who belongs to it ---

    def enter(self):
        """Called in a child before it becomes the measured program."""
        if self.group:
            with open(os.path.join(self.group, "cgroup.procs"), "w") as f:
                f.write("0")

    def spawn(self, command, **options):
        process = subprocess.Popen(command, preexec_fn=self.enter, **options)
        self.roots.append(process.pid)
        return process

    def pids(self):
        if self.group:
            return [int(pid) for pid in read(os.path.join(self.group, "cgroup.procs")).split()]
        parents = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                fields = stat_fields(int(name))
                if fields:
                    parents.setdefault(int(fields[1]), []).append(int(name))
        found, todo = [], [pid for pid in self.roots if os.path.exists("/proc/%d" % pid)]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += parents.get(pid, [])
        return found

    # --- what it has cost so far ---

    def cpu_s(self):
        if self.group:
            rows = dict(line.split() for line in read(os.path.join(self.group, "cpu.stat")).splitlines())
            return int(rows["usage_usec"]) / 1e6
        ticks = 0
        for pid in self.pids():
            fields = stat_fields(pid)
            ticks += sum(int(field) for field in fields[11:15]) if fields else 0
        return ticks / TICKS

    def snapshot(self, directory):
        cpu_s = self.cpu_s()
        return dict(disk_counts(directory), cpu_s=cpu_s)

    # --- memory: what the processes do not share, and once the most that one of them shares ---

    def sample(self):
        private = shared = 0
        for pid in self.pids():
            fields = read("/proc/%d/statm" % pid).split()
            if len(fields) > 2:
                private += int(fields[1]) - int(fields[2])
                shared = max(shared, int(fields[2]))
        self.peak_bytes = max(self.peak_bytes, (private + shared) * PAGE)

    def watch(self):
        def loop():
            while not self.stopping.wait(SAMPLE_S):
                self.sample()
        self.sampler = threading.Thread(target=loop, daemon=True)
        self.sampler.start()

    def peak(self):
        """A single process knows its own peak better than our samples."""
        self.sample()
        pids = self.pids()
        for line in read("/proc/%d/status" % pids[0]).splitlines() if len(pids) == 1 else []:
            if line.startswith("VmHWM:"):
                return max(self.peak_bytes, int(line.split()[1]) * 1024)
        return self.peak_bytes

    # --- system calls, by perf ---

    def count_begin(self):
        """Whether they can be counted here."""
        if not self.group or not shutil.which("perf"):
            return False
        tracing = "/sys/kernel/tracing"
        if not os.path.exists(tracing + "/events"):
            subprocess.run(["mount", "-t", "tracefs", "tracefs", tracing], stderr=subprocess.DEVNULL)
        if not os.path.exists(tracing + "/events/raw_syscalls"):
            return False
        self.perf = subprocess.Popen(["perf", "stat", "-a", "-x", ",", "-e", ",".join(COUNTED), "--for-each-cgroup",
                                      os.path.basename(self.group), "--", "sleep", "86400"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        time.sleep(0.5)
        return self.perf.poll() is None

    def count_end(self):
        """{"calls": all, "syncs": {name: count}}"""
        os.killpg(self.perf.pid, signal.SIGINT)
        text = self.perf.communicate()[1]
        self.perf = None
        counts = {}
        for line in text.splitlines():
            fields = line.split(",")
            if len(fields) > 2 and fields[2] in COUNTED:
                counts[fields[2]] = int(fields[0]) if fields[0].isdigit() else 0
        syncs = {name: counts.get("syscalls:sys_enter_" + name, 0) for name in SYNCS}
        return {"calls": counts.get(COUNTED[0], 0), "syncs": {name: n for name, n in syncs.items() if n}}

    # --- the end ---

    def close(self):
        self.stopping.set()
        if self.sampler:
            self.sampler.join()
        if self.perf:
            os.killpg(self.perf.pid, signal.SIGKILL)
            self.perf.communicate()
