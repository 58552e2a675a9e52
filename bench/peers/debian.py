# SPDX-License-Identifier: MIT
"""Debian's mail servers side by side.  Their packages exclude each other, so none is installed: each is unpacked into a directory of its
own, and laid over /usr and /etc in the mount namespace of its run (bench/namespace.py)."""
import glob
import json
import os
import re
import subprocess

import namespace


def apt(arguments, directory=None):
    return subprocess.run(arguments, capture_output=True, text=True, cwd=directory, env=dict(os.environ, LC_ALL="C", DEBIAN_FRONTEND="noninteractive"))


def wanted(packages):
    """These, and what they need beyond what is installed."""
    done = apt(["apt-get", "-s", "install", "--no-install-recommends"] + list(packages))
    return sorted(set(packages) | set(re.findall(r"^Inst (\S+) ", done.stdout, re.M)))


def fetch(name, packages, cache):
    """Downloads and unpacks; says so first.  Whether it worked."""
    place = os.path.join(cache, name)
    debs = os.path.join(place, "debs")
    os.makedirs(debs, exist_ok=True)
    if "Candidate: (none)" in apt(["apt-cache", "policy"] + list(packages)).stdout or not apt(["apt-cache", "policy", packages[0]]).stdout:
        print("apt-get update", flush=True)
        apt(["apt-get", "update"])
    names = wanted(packages)
    print("%s: downloading into %s (nothing is installed): %s" % (name, place, " ".join(names)), flush=True)
    done = apt(["apt-get", "download"] + names, debs)
    if done.returncode != 0:
        print(done.stderr.strip())
        return False
    for path in sorted(glob.glob(debs + "/*.deb")):
        if subprocess.run(["dpkg-deb", "-x", path, os.path.join(place, "root")]).returncode != 0:
            return False
    with open(os.path.join(place, "versions"), "w") as f:
        json.dump({package: version(debs, package) for package in packages}, f)
    return True


def version(debs, package):
    for path in glob.glob("%s/%s_*.deb" % (debs, package)):
        return apt(["dpkg-deb", "-f", path, "Version"]).stdout.strip()
    return "?"


class DebianPeer:
    """What the Debian peers have in common.  NAME and PACKAGES are theirs; the first package has the version that counts."""
    NEEDS_ROOT = True
    USERS = ()

    def find(self, cache, may_install=False):
        path = os.path.join(cache, self.NAME, "versions")
        if not os.path.exists(path) and not (may_install and fetch(self.NAME, self.PACKAGES, cache)):
            return None
        with open(path) as f:
            return json.load(f)

    def enter(self, place):
        """Makes the machine look as if the package were installed: its files, its users, and a /var of its own on the disk."""
        root = os.path.join(place.cache, self.NAME, "root")
        namespace.overlay("/usr", [root + "/usr"])
        namespace.overlay("/etc", [root + "/etc"] if os.path.exists(root + "/etc") else [], os.path.join(place.run, "etc"))
        for name in ("spool", "lib", "mail", "log"):
            path = os.path.join(place.spool if name in ("spool", "lib") else place.run, "var-" + name)
            os.makedirs(path, exist_ok=True)
            namespace.mount("--bind", path, "/var/" + name)
        namespace.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        namespace.resolve_here(place.directory)
        for user in self.USERS:
            add_user(user)

    def stop(self, place):
        pass


def add_user(name):
    """In the /etc of this namespace."""
    with open("/etc/passwd") as f:
        if any(line.startswith(name + ":") for line in f):
            return
    with open("/etc/passwd") as f, open("/etc/group") as g:
        used = {int(line.split(":")[2]) for line in list(f) + list(g)}
    number = next(n for n in range(500, 1000) if n not in used)
    with open("/etc/group", "a") as f:
        f.write("%s:x:%d:\n" % (name, number))
    with open("/etc/passwd", "a") as f:
        f.write("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n" % (name, number, number))


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
