# SPDX-License-Identifier: MIT
"""Namespaces of our own, so that a mail server may believe it has a machine: its port 25, its name server, its /etc and /usr.

run.py calls command() to start a program in them; that program calls enter() first.  Nothing of the host is changed, and the kernel ends
every process and unmounts everything when process 1 of the namespaces ends.
"""
import os
import socket
import subprocess
import sys

HOSTNAME = "relay.test"


def is_possible():
    if os.geteuid() != 0:
        return False
    done = subprocess.run(["unshare", "-n", "-m", "-u", "-p", "-f", "--mount-proc", "ip", "link", "set", "lo", "up"], capture_output=True)
    return done.returncode == 0


def command(arguments):
    return ["unshare", "-n", "-m", "-u", "-p", "-f", "--mount-proc", "--kill-child=SIGKILL"] + arguments


def mount(*arguments):
    done = subprocess.run(["mount"] + list(arguments), capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError("mount %s: %s" % (" ".join(arguments), done.stderr.strip()))


def be_init():
    """Process 1 only waits, for its child and for every orphan; the child goes on."""
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


def resolve_here(directory):
    """The name server is the simulated Internet's, and our own name is known."""
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:3\n"),
                       ("hosts", "127.0.0.1 localhost\n127.0.0.1 %s relay\n" % HOSTNAME)):
        path = os.path.join(directory, name)
        with open(path, "w") as f:
            f.write(text)
        mount("--bind", path, os.path.realpath("/etc/" + name))


def enter(task):
    directory = task["directory"]
    for name in ("spool", "run"):
        os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)
    if not task["namespace"]:
        return
    be_init()
    os.environ["BENCH_NAMESPACE"] = "1"
    socket.sethostname(HOSTNAME)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)  # AI_ADDRCONFIG does not count 127.0.0.1
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", os.path.join(directory, "run"))
    resolve_here(directory)


def overlay(target, layers, scratch=None):
    """What lies in 'layers' (highest first) seems to lie in target too.  With 'scratch' it can be written, and the changes go there."""
    options = "lowerdir=" + ":".join(layers + [target])
    if scratch:
        for name in ("upper", "work"):
            os.makedirs(os.path.join(scratch, name), exist_ok=True)
        options += ",upperdir=%s/upper,workdir=%s/work" % (scratch, scratch)
    mount("-t", "overlay", "-o", options, "overlay", target)


if __name__ == "__main__":
    sys.exit("bench/run.py starts this")
