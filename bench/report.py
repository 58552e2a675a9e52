# SPDX-License-Identifier: MIT
"""Results as text: one line a run, a table of medians and ranges, ratios against the best peer."""
import statistics

# figure, heading, how to print it
COLUMNS = (
    ("rcpts_per_s", "rcpts/s", "%.0f"), ("cpu_ms_per_rcpt", "CPU s/1000", "%.3f"), ("rss_mb", "RSS MB", "%.0f"), ("written_per_rcpt", "B written", "%.0f"),
    ("syncs_per_rcpt", "syncs", "%.3f"), ("syscalls_per_rcpt", "calls", "%.1f"), ("connections", "conns", "%.0f"), ("transactions", "trans", "%.0f"),
    ("round_trips", "trips", "%.0f"), ("trips_warm", "warm", "%.2f"), ("tls_resumed", "resumed", "%.0f %%"), ("handover_p50_ms", "hand p50", "%.2f"), ("handover_p99_ms", "hand p99", "%.1f"),
    ("latency_p50_ms", "end p50 ms", "%.0f"), ("latency_p99_ms", "end p99 ms", "%.0f"),
)
# work: (recipients/s at least so many times the best peer's, CPU per recipient at most so small a part of it)
TARGETS = {"W1": (20, 50), "W1m": (15, 25), "W2": (10, 40), "W3": (10, 25), "W4": (8, 15), "W5": (None, 40), "W6": (None, None), "W7": (5, 10)}


def is_good(run):
    return "error" not in run


def figure(run, name):
    for times, prefix in (("handover_us", "handover_"), ("latency_us", "latency_")):
        if name.startswith(prefix) and name.endswith("_ms"):
            values = run.get(times)
            return values[name[len(prefix):-3]] / 1000 if values else None
    if name == "trips_warm":
        return run["round_trips_warm"] / run["messages_warm"] if run.get("messages_warm") else None
    if name == "tls_resumed":
        return 100 * run["tls_resumed"] / run["tls_repeated"] if run.get("tls_repeated") else None
    return run.get(name)


def run_line(run):
    if not is_good(run):
        return "FAILED: " + run["error"].strip().split("\n")[0]
    text = "%d rcpts/s, %.3f ms CPU each" % (run["rcpts_per_s"], run["cpu_ms_per_rcpt"])
    if run.get("urgent_busy"):
        text += ", urgent p99 %.0f ms (idle %.0f)" % tuple((run[kind]["ms"] or {"p99": -1})["p99"] for kind in ("urgent_busy", "urgent_idle"))
    for fault in ("missing", "duplicates", "refused", "violations"):
        if run[fault] and not (fault == "refused" and run["work"] == "W5"):
            text += ", %d %s!" % (run[fault], fault.upper())
    return text


def summary(results):
    """{work: {peer: {figure: (median, least, most)}}}; counts of system calls come from the runs that counted them."""
    table = {}
    for work in results["works"]:
        for run in results["runs"]:
            if run["work"] != work or not is_good(run):
                continue
            row = table.setdefault(work, {}).setdefault(run["peer"], {})
            for name in [column[0] for column in COLUMNS] + ["duplicates", "missing", "alone_rcpts_per_s"]:
                is_count = name in ("syncs_per_rcpt", "syscalls_per_rcpt")
                value = figure(run, name)
                if value is not None and is_count == run["counting"]:
                    row.setdefault(name, []).append(value)
            for kind in ("urgent_idle", "urgent_busy"):
                if run.get(kind) and run[kind]["ms"] and not run["counting"]:
                    row.setdefault(kind + "_p99_ms", []).append(run[kind]["ms"]["p99"])
    return {work: {peer: {name: (statistics.median(values), min(values), max(values)) for name, values in row.items()}
                   for peer, row in rows.items()} for work, rows in table.items()}


def cell(row, name, form):
    return form % row[name][0] if name in row else "-"


def lines_of(rows):
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) if n == 0 else text.rjust(width) for n, (text, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


def best(rows, name, choose):
    """(value, peer) of the best of the others."""
    values = [(row[name][0], peer) for peer, row in rows.items() if peer not in ("mailrace", "ceiling") and name in row]
    return choose(values) if values else None


def ratios(rows):
    """(times as many recipients/s, the peer, one part in so many of its CPU, the peer), where there is a peer."""
    speed, cost = best(rows, "rcpts_per_s", max), best(rows, "cpu_ms_per_rcpt", min)
    mine = rows.get("mailrace")
    if not mine or not speed or not cost:
        return None
    return mine["rcpts_per_s"][0] / speed[0], speed[1], cost[0] / mine["cpu_ms_per_rcpt"][0], cost[1]


def table(results):
    text = []
    for work, rows in summary(results).items():
        text += ["", "%s: %s" % (work, results["works"][work])]
        grid = [["  " + "server"] + [column[1] for column in COLUMNS]]
        for peer, row in rows.items():
            grid.append(["  " + peer] + [cell(row, name, form) for name, _, form in COLUMNS])
        text += lines_of(grid)
        found = ratios(rows)
        if found:
            text.append("  mailrace: %.1fx %s, 1/%.0f of the CPU of %s" % found)
        mine = rows.get("mailrace", {})
        if "urgent_busy_p99_ms" in mine:
            text.append("  urgent p99: %.1f ms busy, %.1f ms idle" % (mine["urgent_busy_p99_ms"][0], mine["urgent_idle_p99_ms"][0]))
    return "\n".join(text)
