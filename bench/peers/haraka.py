# SPDX-License-Identifier: MIT
"""Haraka, from npm: config/outbound.ini and the connection pool, as its Outbound.md says."""
import json
import os
import shutil
import subprocess

from peers.debian import write

OUTBOUND = """concurrency_max=100
maxTempFailures=50
always_split=false
enable_tls=%s
local_mx_ok=true
received_header=Haraka outbound
pool_timeout=50
pool_concurrency_max=20
"""
PLUGINS = "trust\n"
TRUST = "exports.hook_connect = function (next, connection) { connection.relaying = true; next() }\n"  # all of 127/8 is ours


class Peer:
    NAME = "haraka"
    NEEDS_ROOT = True
    PACKAGES = ("Haraka",)
    TUNING = [
        ("smtp.ini: nodes=cpus", "a process for each core"),
        ("outbound.ini: concurrency_max=100", "Outbound.md: deliveries at the same time in a process"),
        ("outbound.ini: local_mx_ok=true", "loopback is full of other hosts here"),
    ]

    def find(self, cache, may_install=False):
        place = os.path.join(cache, "haraka")
        manifest = os.path.join(place, "node_modules", "Haraka", "package.json")
        if not os.path.exists(manifest) and not (may_install and self.fetch(place)):
            return None
        with open(manifest) as f:
            node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
            return {"Haraka": json.load(f)["version"], "node": node}

    def fetch(self, place):
        if not shutil.which("npm"):
            return False
        os.makedirs(place, exist_ok=True)
        print("haraka: npm install Haraka into %s" % place, flush=True)
        return subprocess.run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts",
                               "--loglevel=error", "Haraka"]).returncode == 0

    def start(self, place):
        home = os.path.join(place.directory, "haraka")
        queue = os.path.join(place.spool, "queue")
        os.makedirs(queue)
        write(home + "/config/smtp.ini", "listen=127.0.0.1:%d\nnodes=cpus\n" % place.port)
        write(home + "/config/outbound.ini", OUTBOUND % ("true" if place.starttls else "false"))
        write(home + "/config/plugins", PLUGINS + ("tls\n" if place.starttls else ""))
        write(home + "/plugins/trust.js", TRUST)
        write(home + "/config/me", "relay.test\n")
        write(home + "/config/queue_dir", queue + "\n")
        write(home + "/config/log.ini", "[main]\nlevel=NOTICE\n")
        shutil.copy(os.path.join(place.cache, "haraka/node_modules/Haraka/config/connection.ini"), home + "/config/")
        os.symlink(os.path.join(place.cache, "haraka", "node_modules"), home + "/node_modules")
        if place.starttls:
            write(home + "/config/tls.ini", "key=%s\ncert=%s\n" % (place.key, place.certificate))
        place.spawn(["node", os.path.join(place.cache, "haraka/node_modules/Haraka/bin/haraka"), "-c", home])

    def stop(self, place):
        pass
