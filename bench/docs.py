# SPDX-License-Identifier: MIT
"""Brings docs/BENCHMARKS.md up to date from results: the parts between '<!-- begin NAME -->' and '<!-- end NAME -->', and the plots.

    python3 bench/docs.py bench-results.json
"""
import json
import os
import re
import shutil
import sys

import plots
import report
from rig import TOP

PAGE = os.path.join(TOP, "docs", "BENCHMARKS.md")
PLOTS = os.path.join(TOP, "docs", "bench")


def grid(rows):
    return "\n".join(["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])] + ["| " + " | ".join(row) + " |" for row in rows[1:]])


def machine(results, summary):
    m, disk = results["machine"], results["machine"].get("disk") or {}
    lines = ["Measured %s at commit %s: %s, %d cores, %d MB, Linux %s, %s, %s; load before it %.1f." % (
        m["date"], m["commit"], m["cpu"], m["cores"], m["memory_mb"], m["kernel"], m["system"], m["filesystem"], m["load"]),
        "%d rounds, sizes times %g. Versions: %s." % (results["rounds"], results["scale"], ", ".join(
            "%s %s" % item for versions in results["versions"].values() for item in versions.items()))]
    if disk:
        lines.append("The disk: %s." % ", ".join("%s %s" % (name.replace("_", " "), value) for name, value in disk.items() if not isinstance(value, (dict, list))))
    for work, rows in summary.items():
        if "ceiling" in rows:
            lines.append("The bare ceiling of %s, the source straight to the receivers: %.0f messages/s." % (work, rows["ceiling"]["rcpts_per_s"][0]))
    return "\n".join(lines)


def span(row, name, form):
    if name not in row:
        return "-"
    middle, low, high = row[name]
    text = form % middle
    return text if form % low == form % high else "%s (%s-%s)" % (text, form % low, form % high)


def targets(results, summary):
    rows = [["work", "recipients/s", "best peer", "times", "target", "CPU", "best peer", "target", ""]]
    for work, peers_of in summary.items():
        found = report.ratios(peers_of)
        if not found:
            continue
        times, fast, part, cheap = found
        want_times, want_part = report.TARGETS[work]
        mine = peers_of["mailrace"]
        missed = [what for what, is_missed in (("speed", want_times and times < want_times), ("CPU", want_part and part < want_part)) if is_missed]
        rows.append([work, "%.0f" % mine["rcpts_per_s"][0], "%s %.0f" % (fast, peers_of[fast]["rcpts_per_s"][0]), "%.1fx" % times,
                     "%dx" % want_times if want_times else "", "%.4f ms, 1/%.0f" % (mine["cpu_ms_per_rcpt"][0], part),
                     "%s %.2f ms" % (cheap, peers_of[cheap]["cpu_ms_per_rcpt"][0]), "1/%d" % want_part if want_part else "",
                     "missed: " + ", ".join(missed) if missed else ""])
    return grid(rows)


def works(results, summary):
    parts = []
    for work, peers_of in summary.items():
        rows = [["server"] + [heading for _, heading, _ in report.COLUMNS]]
        for peer, row in peers_of.items():
            rows.append([peer] + [span(row, name, form) for name, _, form in report.COLUMNS])
        parts.append("### %s: %s\n\n%s" % (work, results["works"][work], grid(rows)))
        urgent = [["server", "p99 idle, ms", "p99 while the post runs, ms", "the post alone, rcpts/s", "with urgent mail"]]
        for peer, row in peers_of.items():
            if "urgent_busy_p99_ms" in row:
                urgent.append([peer] + [span(row, name, "%.0f") for name in ("urgent_idle_p99_ms", "urgent_busy_p99_ms", "alone_rcpts_per_s", "rcpts_per_s")])
        if len(urgent) > 1:
            parts.append(grid(urgent))
    failed = [run for run in results["runs"] if "error" in run or run["missing"] or run["duplicates"]]
    parts.append("Runs: %d, of which %d failed, lost mail or delivered it twice.%s" % (len(results["runs"]), len(failed), "".join(
        "\n- %s %s, round %d: %s" % (run["work"], run["peer"], run["round"] + 1, report.run_line(run)) for run in failed)))
    return "\n\n".join(parts)


def tuning(results, summary):
    return "\n\n".join("**%s**\n\n%s" % (name, grid([["setting", "why"]] + [["`%s`" % setting.replace("|", "\\|"), why] for setting, why in rows]))
                       for name, rows in results["tuning"].items())


def pictures(results, summary):
    return "\n\n".join("![%s](bench/%s.svg)" % (title, name) for name, figure, title in plots.PLOTS if os.path.exists(os.path.join(PLOTS, name + ".svg")))


PARTS = {"machine": machine, "targets": targets, "pictures": pictures, "works": works, "tuning": tuning}


def main(path):
    with open(path) as f:
        results = json.load(f)
    summary = report.summary(results)
    os.makedirs(PLOTS, exist_ok=True)
    for name, svg in plots.all_plots(summary).items():
        with open(os.path.join(PLOTS, name + ".svg"), "w") as f:
            f.write(svg)
    with open(PAGE) as f:
        page = f.read()
    for name, make in PARTS.items():
        text = make(results, summary)
        page = re.sub(r"(<!-- begin %s -->\n).*?(<!-- end %s -->)" % (name, name), lambda found: found.group(1) + text + "\n" + found.group(2), page, flags=re.S)
    with open(PAGE, "w") as f:
        f.write(page)
    kept = os.path.join(PLOTS, "results.json")
    if os.path.realpath(path) != kept:
        shutil.copy(path, kept)


if __name__ == "__main__":
    main(sys.argv[1])
