# SPDX-License-Identifier: MIT
"""The benchmark harness measures: tiny works, mailrace alone."""
import json
import os
import subprocess
import sys
import tempfile

from rig import TOP, expect, main


def measure(works):
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "results.json")
        environment = dict(os.environ, WORKS=works, PEERS="mailrace", ROUNDS="1", SCALE="0.01", COUNT="0", QUICK="0", INSTALL="0", DIR=directory, OUT=out)
        done = subprocess.run([sys.executable, os.path.join(TOP, "bench", "run.py")], env=environment, capture_output=True, text=True, timeout=300)
        expect(done.returncode == 0, "run.py: %s%s" % (done.stdout, done.stderr))
        with open(out) as f:
            runs = json.load(f)["runs"]
        left = sorted(name for name in os.listdir(directory) if name.startswith("run-"))
        expect(not left, "left behind: %s" % left)
        return done.stdout, runs


def check(run):
    for name in ("rcpts_per_s", "cpu_s", "rss_mb", "connections", "transactions", "round_trips"):
        expect(run[name] > 0, "%s is %s" % (name, run[name]))
    for name in ("missing", "duplicates", "refused", "unanswered", "violations"):
        expect(run[name] == 0, "%s is %s" % (name, run[name]))
    expect(run["handover_us"]["p99"] >= run["handover_us"]["p50"] > 0, "hand-over: %s" % run["handover_us"])


def test_a_post_and_single_messages_are_measured():
    text, runs = measure("W1,W2")
    mine = {run["work"]: run for run in runs if run["peer"] == "mailrace"}
    expect(sorted(mine) == ["W1", "W2"], "works: %s" % sorted(mine))
    for run in mine.values():
        check(run)
    expect(mine["W1"]["received"] == 200 and mine["W2"]["received"] == 100, "not everybody got it")
    expect("CPU s/1000" in text, "no table: %s" % text)
    expect([run["received"] for run in runs if run["peer"] == "ceiling"] == [100], "no bare ceiling")


def test_what_cannot_arrive_is_not_missed():
    _, runs = measure("W5")
    run = runs[0]
    expect(0 < run["expected"] < run["recipients"], "%s of %s" % (run["expected"], run["recipients"]))
    expect(run["missing"] == 0 and run["duplicates"] == 0, "%s" % run)


if __name__ == "__main__":
    main(globals())
