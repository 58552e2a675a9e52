# SPDX-License-Identifier: MIT
"""What an operator does at night: look, hold, release, retry, cancel, reload."""
import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from rig import Rig, expect, main, program, wait_for

DEAD = "domain a.example dead\ndomain b.example\n"
LATE = "retry: {intervals: [1h], expire: 5d, jitter: 0%}"


def waiting(rig):
    rig.send("list@lists.test", ["user1@a.example", "user2@a.example"], header="List-Id: <news.lists.test>\r\n")
    wait_for(lambda: rig.events("deferred"), "a deferral")


def test_the_queue_says_why():
    with Rig(DEAD, LATE) as rig:
        waiting(rig)
        rows = rig.queue()
        expect(len(rows) == 2, rows)
        row = rows[0]
        for key in ("id", "from", "to", "site", "status", "attempts", "next", "last"):
            expect(key in row, "no %s in %s" % (key, row))
        for key in ("code", "enhanced", "text", "mx", "time"):
            expect(key in row["last"], "no last.%s in %s" % (key, row))
        shown = rig.mailrace("show", row["id"]).stdout
        expect("user1@a.example" in shown and "list@lists.test" in shown, shown)
        sites = rig.rows("sites")
        expect(len([s for s in sites if s["site"] == row["site"]]) == 1, sites)
        text = rig.mailrace("site", "a.example").stdout
        expect("backoff" in text and "mx.a.example" in text, text)
        status = rig.status()
        expect(status["recipients"] == 2, status)


def test_selectors_choose():
    with Rig(DEAD, LATE) as rig:
        waiting(rig)
        for selector, count in (("to=user1@a.example", 1), ("domain=a.example", 2), ("domain=b.example", 0), ("list=news.lists.test", 2),
                                ("older=1h", 0), ("status=deferred", 2)):
            expect(len(rig.queue(selector)) == count, "%s: %s" % (selector, rig.queue(selector)))
        expect(rig.mailrace("queue", "colour=red", check=False).returncode == 64, "an unknown term")
        expect(rig.mailrace("hold", check=False).returncode == 64, "a change without a selector")


def test_hold_release_retry_cancel():
    with Rig(DEAD, LATE) as rig:
        waiting(rig)
        dry = rig.mailrace("hold", "to=user1@a.example", "--dry-run").stdout
        expect("1" in dry and not rig.queue("status=held"), dry)
        rig.mailrace("hold", "to=user1@a.example")
        expect(len(rig.queue("status=held")) == 1, rig.queue())
        rig.internet.ask("set host mx.a.example dead=no")
        rig.mailrace("retry", "all")
        wait_for(lambda: rig.receipts() == {"user2@a.example": 1}, "the one that is not held")
        rig.mailrace("release", "to=user1@a.example")
        rig.mailrace("retry", "all")
        rig.wait_empty()
        rig.expect_delivered(["user1@a.example", "user2@a.example"])


def test_cancel_ends_without_a_report():
    with Rig(DEAD, LATE) as rig:
        waiting(rig)
        rig.mailrace("cancel", "domain=a.example")
        rig.wait_empty()
        expect(set(sum(rig.ends().values(), [])) == {"cancelled"}, rig.ends())
        expect(not rig.events("reported"), "a report")
        rig.stop()
        rig.start()
        expect(not rig.queue(), "cancelled mail came back")


def test_reload_changes_limits_and_refuses_errors():
    with Rig(DEAD, LATE) as rig:
        rig.write_config(LATE + "\nsites: {default: {connections: 7}}")
        rig.mailrace("reload")
        wait_for(lambda: rig.events("config_reloaded"), "the reload in the log")
        rig.send("list@lists.test", ["user@b.example"])
        rig.wait_empty()
        expect("7" in rig.mailrace("site", "b.example").stdout, "the limit is not shown")
        rig.write_config(LATE + "\nsites: {default: {conections: 7}}")
        bad = rig.mailrace("reload", check=False)
        expect(bad.returncode == 78 and "conections" in bad.stdout + bad.stderr, (bad.returncode, bad.stdout, bad.stderr))
        rig.daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: len(rig.events("config_refused")) >= 2, "the refusal in the log")
        rig.send("list@lists.test", ["user2@b.example"])
        rig.wait_empty()


def test_a_hostname_needs_a_restart_and_it_is_said():
    with Rig() as rig:
        rig.write_config("hostname: other.test")
        rig.daemon.send_signal(signal.SIGHUP)
        row = wait_for(lambda: rig.events("config_reloaded"), "the reload")[0]
        expect("hostname" in row.get("needs_restart", ""), row)


def test_without_a_server_the_tool_says_69():
    with Rig(start=False) as rig:
        done = rig.mailrace("status", check=False)
        expect(done.returncode == 69 and rig.control in done.stderr, (done.returncode, done.stderr))
        expect(subprocess.run([program("mailrace"), "-c", rig.config_path, "quueue"], capture_output=True).returncode == 64, "usage")


def test_an_unsafe_spool_is_refused():
    with Rig(start=False) as rig:
        os.mkdir(rig.directory + "/spool", 0o777)
        os.chmod(rig.directory + "/spool", 0o777)
        done = subprocess.run([program("mailraced"), "-c", rig.config_path], capture_output=True, text=True)
        expect(done.returncode != 0 and "spool" in done.stderr and "chmod" in done.stderr, done.stderr)


def test_two_daemons_do_not_share_a_spool():
    with Rig() as rig:
        done = subprocess.run([program("mailraced"), "-c", rig.config_path], capture_output=True, text=True)
        expect(done.returncode != 0 and "spool" in done.stderr, done.stderr)
        expect(rig.is_up(), "the first one goes on")


def test_the_log_can_be_text():
    with Rig(config="log: {format: text}") as rig:
        rig.send("list@lists.test", ["user@a.example"])
        wait_for(lambda: " delivered " in rig.log_text(), "a delivered line")


def test_a_turn_that_kept_everybody_waiting_is_told():
    """Nobody reads the log for a while: the write of one turn has to wait."""
    with Rig(config="log: {level: debug}", start=False) as rig:
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        rig.log_file = os.fdopen(writing, "wb")
        rig.daemon = subprocess.Popen([program("mailraced"), "-c", rig.config_path], stderr=writing, stdin=subprocess.DEVNULL)
        wait_for(rig.is_up, "mailraced to listen")
        clients = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(100)]
        time.sleep(0.3)
        threading.Thread(target=copy, args=(reading, rig.log_path), daemon=True).start()
        row = wait_for(lambda: rig.events("long_turn"), "the long turn")[0]
        expect(row["took_ms"] > 100 and row["turns"] >= 1, row)
        status = rig.status()
        expect(status["long_turns"] >= 1 and status["longest_turn_ms"] >= row["took_ms"], status)
        expect("slow" in rig.mailrace("status").stdout, "status for people")
        for client in clients:
            client.close()


def copy(reading, path):
    with open(path, "ab", buffering=0) as log:
        for piece in iter(lambda: os.read(reading, 4096), b""):
            log.write(piece)


def test_watch_ends_when_the_message_does():
    with Rig(DEAD, LATE) as rig:
        waiting(rig)
        watch = subprocess.Popen([program("mailrace"), "-c", rig.config_path, "watch", rig.queue()[0]["id"]], stdout=subprocess.PIPE, text=True)
        expect("0 of 2 delivered" in watch.stdout.readline(), "the first look")
        rig.internet.ask("set host mx.a.example dead=no")
        rig.mailrace("retry", "all")
        out, _ = watch.communicate(timeout=30)
        expect(watch.returncode == 0 and "2" in out, out)


if __name__ == "__main__":
    main(globals())
