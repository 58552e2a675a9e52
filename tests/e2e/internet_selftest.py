#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulated Internet and the load source do what mailrace-bench(1) says.

Drives the real program with smtplib and raw sockets:  internet_selftest.py [PROGRAM]
The other end-to-end tests believe what this program counts, so here it is counted by hand.
"""
import hashlib
import json
import os
import re
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.environ.get("BUILD", "build/plain"), "mailrace-bench")

SCENARIO = """
# a comment
domain plain.test
domain two.test mx=10:mx1.two.test,20:mx2.two.test
host mx1.two.test 127.0.1.1
host mx2.two.test 127.0.1.2,127.0.1.3
domain store.test store
domain grey.test greylist=400ms
domain share.test unknown=50%
domain implicit.test dns=implicit ttl=77
domain null.test dns=null-mx
domain servfail.test dns=servfail
domain timeout.test dns=timeout
domain nodata.test dns=nodata
domain truncate.test dns=truncate
domain garbage.test dns=garbage
domain many.test mx=a-long-host-name-to-fill-the-answer-1.many.test,a-long-host-name-to-fill-the-answer-2.many.test,a-long-host-name-to-fill-the-answer-3.many.test,a-long-host-name-to-fill-the-answer-4.many.test,a-long-host-name-to-fill-the-answer-5.many.test,a-long-host-name-to-fill-the-answer-6.many.test,a-long-host-name-to-fill-the-answer-7.many.test,a-long-host-name-to-fill-the-answer-8.many.test,a-long-host-name-to-fill-the-answer-9.many.test,a-long-host-name-to-fill-the-answer-10.many.test
alias www.test plain.test ttl=11
alias loop1.test loop2.test
alias loop2.test loop1.test
alias dangling.test nowhere.test
host six.test ::1,127.0.1.9
domain xn--bcher-kva.test
"""


class World:
    """One running simulated Internet."""

    def __init__(self, scenario="", *options):
        self.directory = tempfile.TemporaryDirectory()
        path = os.path.join(self.directory.name, "scenario")
        with open(path, "w", encoding="ascii") as file:
            file.write(scenario)
        self.control_path = os.path.join(self.directory.name, "control")
        self.ca = os.path.join(self.directory.name, "ca.pem")
        self.process = subprocess.Popen(
            [PROGRAM, "internet", "--scenario", path, "--control", self.control_path, "--ca", self.ca,
             "--die-with-parent", *options], stdout=subprocess.PIPE)
        self.where = json.loads(self.process.stdout.readline())
        self.port = self.where["smtp_port"]
        self.addresses = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(10) == 0
        self.process.stdout.close()
        self.directory.cleanup()

    def ask(self, line):
        """The JSON objects of one answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.control_path)
            s.sendall(line.encode() + b"\n")
            s.shutdown(socket.SHUT_WR)
            data = b""
            while piece := s.recv(65536):
                data += piece
        assert data.endswith(b"\n\n") or data == b"\n", data
        return [json.loads(row) for row in data.decode().split("\n") if row]

    def stats(self):
        return self.ask("stats")[0]

    def set(self, what):
        answer = self.ask("set " + what)
        assert answer == [{"ok": True}], answer

    def violations(self):
        return {name: v["count"] for name, v in self.stats()["violations"].items()}

    def receipts(self):
        return {(r["rcpt"], r["id"]): r["count"] for r in self.ask("recipients")}

    def address(self, host):
        if host not in self.addresses:
            self.addresses[host] = query(self, host, A)["answers"][0][2]
        return self.addresses[host]

    def smtp(self, host, **options):
        client = smtplib.SMTP(timeout=10, **options)
        client.connect(self.address(host), self.port)
        client._host = host  # pylint: disable=protected-access  # the name for TLS
        return client

    def raw(self, host, port=None, hello=True):
        return Raw(self.address(host), port or self.port, hello)


class Raw:
    """A connection on which everything may be said."""

    def __init__(self, address, port, hello=True):
        self.socket = socket.create_connection((address, port), timeout=10)
        self.file = self.socket.makefile("rb")
        self.greeting = None
        if hello:
            self.greeting = self.reply()
            self.say("EHLO test.invalid")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """The code and the whole text of the next reply; (0, '') at the end."""
        text = b""
        while line := self.file.readline():
            text += line
            if line[3:4] != b"-":
                break
        code = int(text[:3]) if text[:3].isdigit() else 0
        return code, text.decode("latin-1")

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def codes(self, *lines):
        return [self.say(line)[0] for line in lines]


A, CNAME, SOA, MX, TXT, AAAA = 1, 5, 6, 15, 16, 28


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def decode_name(packet, at):
    labels, end = [], None
    while packet[at]:
        if packet[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", packet[at:at + 2])[0] & 0x3FFF
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), end or at + 1


def decode(packet):
    _, flags, _, answers, authorities, additional = struct.unpack(">6H", packet[:12])
    _, at = decode_name(packet, 12)
    at += 4
    records = []
    for _ in range(answers + authorities + additional):
        name, at = decode_name(packet, at)
        kind, _, ttl, length = struct.unpack(">HHIH", packet[at:at + 10])
        at += 10
        data = packet[at:at + length]
        assert len(data) == length, "cut off"
        if kind == A:
            data = socket.inet_ntoa(data)
        elif kind == AAAA:
            data = socket.inet_ntop(socket.AF_INET6, data)
        elif kind == CNAME:
            data = decode_name(packet, at)[0]
        elif kind == MX:
            data = (struct.unpack(">H", data[:2])[0], decode_name(packet, at + 2)[0])
        records.append((name, kind, data, ttl))
        at += length
    assert at == len(packet)
    return {"rcode": flags & 15, "tc": bool(flags & 0x200), "aa": bool(flags & 0x400),
            "answers": records[:answers], "authorities": records[answers:answers + authorities],
            "additional": records[answers + authorities:]}


def query(world, name, kind, edns=False, tcp=False, timeout=3):
    packet = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, int(edns)) + encode_name(name) + struct.pack(">HH", kind, 1)
    if edns:
        packet += b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    host, port = world.where["dns"].split(":")
    if tcp:
        with socket.create_connection((host, int(port)), timeout) as s:
            s.sendall(struct.pack(">H", len(packet)) + packet)
            file = s.makefile("rb")
            answer = file.read(struct.unpack(">H", file.read(2))[0])
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.sendto(packet, (host, int(port)))
            answer = s.recv(65535)
    assert answer[:2] == packet[:2]
    return decode(answer)


def message(ident, body="hello\r\n"):
    return f"Subject: test\r\nX-Mailrace-Id: {ident}\r\nMessage-ID: <{ident}@test>\r\n\r\n{body}"


def transaction(conn, rcpts, ident, body="hello\r\n", sender="s@sender.test"):
    """The replies to MAIL, each RCPT, DATA and the dot."""
    codes = conn.codes(f"MAIL FROM:<{sender}>", *[f"RCPT TO:<{r}>" for r in rcpts], "DATA")
    if codes[-1] == 354:
        conn.send(message(ident, body) + ".\r\n")
        codes.append(conn.reply()[0])
    return codes


def source(world, *options, host="127.0.0.3"):
    run = subprocess.run([PROGRAM, "source", "--to", f"{host}:{world.port}", *options], stdout=subprocess.PIPE,
                         timeout=60, check=False)
    return run.returncode, json.loads(run.stdout)


def raises(errors, function, *arguments, **options):
    """The call fails with one of these errors."""
    try:
        function(*arguments, **options)
    except errors:
        return
    raise AssertionError(f"no {errors}")


TESTS = []


def test(function):
    TESTS.append(function)
    return function


# ---- names ----

@test
def names_have_mx_and_address_records():
    with World(SCENARIO) as w:
        answer = query(w, "two.test", MX)
        assert sorted(r[2] for r in answer["answers"]) == [(10, "mx1.two.test"), (20, "mx2.two.test")], answer
        assert answer["aa"] and answer["rcode"] == 0
        assert {r[2] for r in query(w, "MX2.two.TEST", A)["answers"]} == {"127.0.1.2", "127.0.1.3"}
        assert query(w, "plain.test", MX)["answers"][0][2] == (10, "mx.plain.test")
        six = query(w, "six.test", AAAA)["answers"]
        assert six[0][2] == "::1" and len(six) == 1


@test
def names_without_mx_say_so_in_the_right_way():
    with World(SCENARIO) as w:
        implicit = query(w, "implicit.test", MX)
        assert implicit["rcode"] == 0 and not implicit["answers"] and implicit["authorities"][0][1] == SOA
        assert query(w, "implicit.test", A)["answers"][0][3] == 77
        assert query(w, "null.test", MX)["answers"][0][2] == (0, "")
        for name, rcode in (("nowhere.test", 3), ("servfail.test", 2), ("nodata.test", 0)):
            answer = query(w, name, MX)
            assert answer["rcode"] == rcode and not answer["answers"], (name, answer)
            assert bool(answer["authorities"]) == (rcode != 2)
        text = query(w, "plain.test", TXT)
        assert text["rcode"] == 0 and not text["answers"]


@test
def a_name_that_times_out_is_never_answered():
    with World(SCENARIO) as w:
        raises(socket.timeout, query, w, "timeout.test", MX, timeout=0.3)
        w.set("domain timeout.test dns=normal")
        assert query(w, "timeout.test", MX)["answers"]


@test
def long_answers_are_truncated_and_whole_over_tcp_and_edns():
    with World(SCENARIO) as w:
        assert query(w, "many.test", MX)["tc"] and not query(w, "many.test", MX)["answers"]
        assert len(query(w, "many.test", MX, tcp=True)["answers"]) == 10
        with_edns = query(w, "many.test", MX, edns=True)
        assert len(with_edns["answers"]) == 10 and with_edns["additional"][0][1] == 41
        assert query(w, "truncate.test", MX, edns=True)["tc"]
        assert query(w, "truncate.test", MX, tcp=True)["answers"]


@test
def aliases_are_followed_and_loops_end():
    with World(SCENARIO) as w:
        answer = query(w, "www.test", MX)["answers"]
        assert answer[0][1:] == (CNAME, "plain.test", 11) and answer[1][2] == (10, "mx.plain.test")
        assert all(r[1] == CNAME for r in query(w, "loop1.test", A)["answers"])
        assert query(w, "dangling.test", A)["rcode"] == 3


@test
def a_garbage_answer_is_garbage():
    with World(SCENARIO) as w:
        raises((AssertionError, IndexError, struct.error), query, w, "garbage.test", MX)
        assert w.stats()["dns"]["questions"] > 0


@test
def generated_domains_have_exact_shares():
    with World("", "--domains", "200", "--hosted", "30%", "--operators", "3", "--mix",
               "dead:5%,greylist:10%,servfail:1.5%") as w:
        domains = w.ask("domains")
        kinds = [d["personality"] for d in domains]
        assert len(domains) == 200 and kinds.count("dead") == 10 and kinds.count("greylist") == 20
        assert kinds.count("servfail") == 3
        hosted = [d for d in domains if "operator" in d["mx"][0]]
        assert len(hosted) == 60 and len({d["mx"][0] for d in hosted}) == 3 and all(len(d["mx"]) == 2 for d in hosted)
        assert sum(not h["alive"] for h in w.ask("hosts")) == 10


# ---- counting ----

@test
def every_receipt_is_counted_by_id_and_recipient():
    with World(SCENARIO) as w:
        body = "a line\r\n.a dot\r\nmore\r\n"
        with w.smtp("mx.plain.test") as client:
            client.sendmail("s@x.test", ["a@plain.test", "b@PLAIN.test"], message("one", body))
            client.sendmail("s@x.test", ["a@plain.test"], message("one", body))
            client.sendmail("s@x.test", ["a@plain.test"], message("two", body))
        assert w.receipts() == {("a@plain.test", "one"): 2, ("b@plain.test", "one"): 1, ("a@plain.test", "two"): 1}
        stats = w.stats()
        assert stats["duplicates"] == 1 and stats["messages"] == 3 and stats["recipients"] == 4
        assert stats["connections"] == 1 and stats["quit"] == 1 and stats["violation_count"] == 0, stats
        row = w.ask("recipients plain.test")[0]
        assert row["sha256"] == hashlib.sha256(body.encode()).hexdigest() and row["tls"] is False
        assert abs(row["first_ms"] / 1000 - time.time()) < 10


@test
def message_id_is_the_id_when_there_is_no_better_one():
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
        c.send("Message-ID: <m@x>\r\n\r\nb\r\n.\r\n")
        assert c.reply()[0] == 250
        assert list(w.receipts()) == [("a@plain.test", "<m@x>")]


@test
def a_changed_body_is_seen():
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        right = hashlib.sha256(b"hello\r\n").hexdigest()
        for body in ("hello\r\n", "hullo\r\n"):
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.send(f"X-Mailrace-Id: i\r\nX-Mailrace-Sha256: {right}\r\n\r\n{body}.\r\n")
            assert c.reply()[0] == 250
        assert w.violations() == {"content_changed": 1}
        assert w.stats()["changed_contents"] == 1


@test
def stored_messages_come_back_whole():
    with World(SCENARIO) as w:
        with w.raw("mx.store.test") as c:
            c.codes("MAIL FROM:<s@x.test> RET=HDRS ENVID=e1", "RCPT TO:<a@store.test> NOTIFY=NEVER", "DATA")
            c.send(b"X-Mailrace-Id: i\r\n\r\n\"quoted\" \\ ..\r\n..\r\n.\r\n")
            assert c.reply()[0] == 250
        stored = w.ask("messages store.test")
        assert len(stored) == 1 and stored[0]["raw"] == "X-Mailrace-Id: i\r\n\r\n\"quoted\" \\ ..\r\n.\r\n", stored
        assert stored[0]["from"] == "s@x.test" and stored[0]["params"] == "RET=HDRS ENVID=e1"
        assert stored[0]["rcpts"] == [{"address": "a@store.test", "params": "NOTIFY=NEVER"}]
        assert w.ask("messages plain.test") == [] and "error" in w.ask("messages no.test")[0]


@test
def misrouted_mail_is_refused_and_counted():
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        assert c.codes("MAIL FROM:<>", "RCPT TO:<a@two.test>") == [250, 550]
        assert w.violations() == {"misrouted": 1}
        address = w.address("mx.plain.test")
        assert c.codes(f"RCPT TO:<a@[{address}]>", "RCPT TO:<postmaster>") == [250, 250]


@test
def international_domains_are_found_in_both_forms():
    with World(SCENARIO) as w, w.raw("mx.xn--bcher-kva.test") as c:
        assert c.codes("MAIL FROM:<> SMTPUTF8", "RCPT TO:<a@b\u00fccher.test>", "RCPT TO:<a@xn--bcher-kva.test>",
                       "RCPT TO:<j\u00f6rg@B\u00dcCHER.test>") == [250] * 4
        assert w.violations() == {}


# ---- TLS ----

@test
def starttls_works_is_verifiable_and_resumes():
    with World(SCENARIO) as w:
        context = ssl.create_default_context(cafile=w.ca)
        session = None
        for _ in range(2):
            with socket.create_connection((w.address("mx.plain.test"), w.port), 10) as s:
                s.recv(1000)
                s.sendall(b"EHLO x\r\n")
                assert b"STARTTLS" in s.recv(1000)
                s.sendall(b"STARTTLS\r\n")
                assert s.recv(1000).startswith(b"220")
                with context.wrap_socket(s, server_hostname="mx.plain.test", session=session) as t:
                    t.sendall(b"EHLO x\r\n")
                    assert b"STARTTLS" not in t.recv(1000)
                    session = t.session
                    t.sendall(b"QUIT\r\n")
                    assert t.recv(1000).startswith(b"221")
        with w.smtp("mx.plain.test") as client:
            client.starttls()
            client.sendmail("s@x.test", ["a@plain.test"], message("tls"))
        w.set("host mx.plain.test no-tls13")
        with w.smtp("mx.plain.test") as client:
            client.starttls()
            assert client.sock.version() == "TLSv1.2"
        stats = w.stats()
        assert stats["tls"] == 4 and stats["tls_resumed"] == 1 and stats["tls13"] == 3, stats
        assert w.ask("recipients")[0]["tls"] is True and stats["violation_count"] == 0


def start_tls(world, host, context, name):
    """The seconds that EHLO took inside."""
    with socket.create_connection((world.address(host), world.port), 10) as s:
        s.recv(1000)
        s.sendall(b"EHLO x\r\n")
        s.recv(1000)
        s.sendall(b"STARTTLS\r\n")
        assert s.recv(1000).startswith(b"220")
        with context.wrap_socket(s, server_hostname=name) as t:
            start = time.monotonic()
            t.sendall(b"EHLO x\r\n")
            assert t.recv(1000).startswith(b"250")
            return time.monotonic() - start


@test
def a_client_may_refuse_a_certificate():
    with World(SCENARIO) as w:
        trusting, strict = ssl.create_default_context(cafile=w.ca), ssl.create_default_context()
        raises(ssl.SSLCertVerificationError, start_tls, w, "mx.plain.test", strict, "mx.plain.test")
        raises(ssl.SSLCertVerificationError, start_tls, w, "mx.plain.test", trusting, "other.test")
        start_tls(w, "mx.plain.test", trusting, "mx.plain.test")
        stats = w.stats()
        assert stats["tls_refused"] == 2 and stats["tls"] >= 1 and stats["violation_count"] == 0, stats


@test
def bytes_that_are_no_handshake_are_the_clients_fault():
    with World(SCENARIO) as w:
        with w.raw("mx.plain.test") as c:
            c.say("STARTTLS")
            c.send("EHLO x\r\n")
            c.reply()
        assert w.violations() == {"tls_failed": 1}


@test
def latency_delays_what_is_encrypted_too():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test latency=100ms")
        assert 0.09 < start_tls(w, "mx.plain.test", ssl.create_default_context(cafile=w.ca), "mx.plain.test") < 0.19


@test
def a_host_at_ipv6_loopback_is_reached():
    with World(SCENARIO) as w, Raw("::1", w.port) as c:
        assert "six.test" in c.greeting[1]


@test
def starttls_can_be_broken_in_every_way():
    with World(SCENARIO) as w:
        def offered():
            with w.raw("mx.plain.test", hello=False) as c:
                c.reply()
                return "STARTTLS" in c.say("EHLO x")[1]
        assert offered()
        w.set("host mx.plain.test starttls=no")
        assert not offered()
        w.set("host mx.plain.test starttls=refuse")
        with w.raw("mx.plain.test") as c:
            assert c.codes("STARTTLS", "NOOP") == [454, 250]
        w.set("host mx.plain.test starttls=close")
        with w.raw("mx.plain.test") as c:
            assert c.say("STARTTLS")[0] == 220 and c.reply() == (0, "")
        w.set("host mx.plain.test starttls=garbage")
        with w.raw("mx.plain.test") as c:
            assert c.say("STARTTLS")[0] == 220
            c.send(b"\x16\x03\x01")
            assert "no handshake" in c.reply()[1]
        w.set("host mx.plain.test starttls=hang")
        with w.raw("mx.plain.test") as c:
            assert c.say("STARTTLS")[0] == 220
            c.socket.settimeout(0.3)
            c.send(b"\x16\x03\x01")
            raises(socket.timeout, c.reply)


@test
def commands_behind_starttls_do_not_count():
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        c.send("STARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        assert c.reply()[0] == 220
        assert w.violations().get("plaintext_after_tls") == 1


# ---- personalities ----

@test
def local_parts_choose_their_fate():
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        codes = c.codes("MAIL FROM:<s@x>", "RCPT TO:<unknown-1@plain.test>", "RCPT TO:<defer-1@plain.test>",
                        "RCPT TO:<full-1@plain.test>", "RCPT TO:<once-1@plain.test>", "RCPT TO:<once-1@plain.test>",
                        "RCPT TO:<ok@plain.test>")
        assert codes == [250, 550, 450, 452, 450, 250, 250]
        refusals = {r["rcpt"]: (r["rejected"], r["deferred"], r["last"][:3]) for r in w.ask("refusals")}
        assert refusals == {"unknown-1@plain.test": (1, 0, "550"), "defer-1@plain.test": (0, 1, "450"),
                            "full-1@plain.test": (0, 1, "452"), "once-1@plain.test": (0, 1, "450")}
        stats = w.stats()
        assert stats["rejected"] == 1 and stats["deferred"] == 3 and stats["violation_count"] == 0


@test
def a_share_of_mailboxes_is_unknown_and_always_the_same():
    with World(SCENARIO) as w, w.raw("mx.share.test") as c:
        c.say("MAIL FROM:<>")
        codes = [c.codes(f"RCPT TO:<u{n}@share.test>", f"RCPT TO:<u{n}@share.test>") for n in range(200)]
        assert all(a == b for a, b in codes)
        assert 60 < sum(a == 550 for a, _ in codes) < 140


@test
def a_greylist_wants_the_same_again_after_its_time():
    with World(SCENARIO) as w, w.raw("mx.grey.test") as c:
        c.say("MAIL FROM:<s@x>")
        assert c.codes("RCPT TO:<a@grey.test>", "RCPT TO:<a@grey.test>") == [450, 450]
        time.sleep(0.5)
        assert c.codes("RCPT TO:<a@grey.test>", "RCPT TO:<b@grey.test>") == [250, 450]
        c.codes("RSET", "MAIL FROM:<other@x>")
        assert c.say("RCPT TO:<a@grey.test>")[0] == 450


@test
def limits_of_messages_recipients_and_connections_hold():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test messages=2 rcpts=3 connections=2")
        rcpts = [f"r{n}@plain.test" for n in range(4)]
        with w.raw("mx.plain.test") as c, w.raw("mx.plain.test") as d:
            assert transaction(c, rcpts, "1") == [250, 250, 250, 250, 452, 354, 250]
            assert transaction(c, rcpts[:1], "2") == [250, 250, 354, 250]
            with w.raw("mx.plain.test", hello=False) as e:
                assert e.reply()[0] == 421 and e.reply() == (0, "")
            assert c.say("MAIL FROM:<>")[0] == 421 and c.reply() == (0, "")
            assert d.say("NOOP")[0] == 250
        w.set("host mx.plain.test messages=0 messages-close=1 connections=0 connections-close=1")
        with w.raw("mx.plain.test") as c:
            with w.raw("mx.plain.test", hello=False) as e:
                assert e.reply() == (0, "")
            assert transaction(c, rcpts[:1], "3")[-1] == 250 and c.reply() == (0, "")
        stats = w.stats()
        assert stats["refused"] == 2 and stats["open_max"] == 3, stats


@test
def latency_delays_groups_and_tarpits_delay_replies():
    with World(SCENARIO) as w:
        group = "".join(f"{line}\r\n" for line in ("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "RCPT TO:<b@plain.test>"))
        w.set("host mx.plain.test latency=150ms")
        start = time.monotonic()
        with w.raw("mx.plain.test") as c:
            assert 0.28 < time.monotonic() - start < 0.6  # greeting and EHLO
            start = time.monotonic()
            c.send(group)
            assert [c.reply()[0] for _ in range(3)] == [250] * 3
            assert 0.14 < time.monotonic() - start < 0.28
        w.set("host mx.plain.test latency=0 tarpit=100ms")
        with w.raw("mx.plain.test") as c:
            start = time.monotonic()
            c.send(group)
            assert [c.reply()[0] for _ in range(3)] == [250] * 3
            assert 0.28 < time.monotonic() - start < 0.6
        assert w.violations() == {}


@test
def talking_before_the_greeting_is_seen():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test latency=200ms")
        with w.raw("mx.plain.test", hello=False) as c:
            c.send("EHLO x\r\n")
            assert c.reply()[0] == 220 and c.reply()[0] == 250
        assert w.violations() == {"early_talk": 1}


@test
def hosts_without_extensions_offer_none():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test no-pipelining no-size no-8bitmime no-smtputf8 no-dsn no-enhanced starttls=no")
        with w.raw("mx.plain.test", hello=False) as c:
            c.reply()
            assert c.say("EHLO x")[1].count("\n") == 1
            assert c.say("MAIL FROM:<> SIZE=10")[0] == 555
            assert c.say("MAIL FROM:<>")[1] == "250 sender taken\r\n"
        assert w.violations() == {"parameter": 1}
        w.set("host mx.plain.test no-esmtp")
        with w.raw("mx.plain.test", hello=False) as c:
            assert "ESMTP" not in c.reply()[1]
            assert c.codes("EHLO x", "HELO x") == [502, 250]


@test
def pipelining_where_it_is_not_offered_is_scolded():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test no-pipelining")
        with w.raw("mx.plain.test") as c:
            c.send("MAIL FROM:<>\r\nRCPT TO:<a@plain.test>\r\n")
            assert [c.reply()[0] for _ in range(2)] == [250, 503]
            assert c.say("RCPT TO:<a@plain.test>")[0] == 250
        assert w.violations() == {"pipelined": 1}


@test
def a_small_size_limit_refuses_early_and_late():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test size=1k")
        with w.raw("mx.plain.test") as c:
            assert c.say("MAIL FROM:<> SIZE=2000")[0] == 552
            assert transaction(c, ["a@plain.test"], "big", "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 20)[-1] == 552
        assert w.receipts() == {}


@test
def a_host_can_break_at_every_stage():
    with World(SCENARIO) as w:
        order = ["mail", "rcpt", "data", "dot"]
        for number, stage in enumerate(order):
            w.set(f"host mx.plain.test at-{stage}=\"451 4.3.0 not now\"")
            with w.raw("mx.plain.test") as c:
                codes = transaction(c, ["a@plain.test"], stage)
                assert codes[number] == 451, (stage, codes)
            w.set(f"host mx.plain.test at-{stage}=drop")
            with w.raw("mx.plain.test") as c:
                codes = c.codes(*["MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA", message("x") + "."][:number + 1])
                assert codes[-1] == 0, (stage, codes)
            w.set(f"host mx.plain.test at-{stage}=normal")
        assert w.receipts() == {} and w.violations() == {}
        assert w.stats()["aborted"] == 4


@test
def a_message_dropped_after_the_dot_may_have_been_kept():
    with World(SCENARIO) as w:
        for act, kept in (("drop", False), ("drop-kept", True)):
            w.set(f"host mx.plain.test at-dot={act}")
            with w.raw("mx.plain.test") as c:
                assert transaction(c, ["a@plain.test"], act)[-1] == 0
            assert ((("a@plain.test", act) in w.receipts()) is kept)
        w.set("host mx.plain.test at-dot=normal at-body=drop")
        with w.raw("mx.plain.test") as c:
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.send("X-Mailrace-Id: half\r\n")
            assert c.reply() == (0, "")


@test
def actions_can_be_limited_to_some_uses():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test \"at-mail=421 4.3.2 later\" times=2")
        with w.raw("mx.plain.test") as c:
            assert c.codes("MAIL FROM:<>", "MAIL FROM:<>", "MAIL FROM:<>") == [421, 421, 250]
        w.set("host mx.store.test \"at-rset=500 no\" every=3")
        with w.raw("mx.store.test") as c:
            assert c.codes(*["RSET"] * 6) == [250, 250, 500, 250, 250, 500]


@test
def replies_can_be_nonsense():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test at-mail=garbage at-rset=huge at-quit=silent")
        with w.raw("mx.plain.test") as c:
            assert c.say("MAIL FROM:<>")[0] == 0
            code, text = c.say("RSET")
            assert code == 250 and len(text) > 1000000
            c.socket.settimeout(0.3)
            raises(socket.timeout, c.say, "QUIT")
        w.set("host mx.plain.test at-rset=twice")
        with w.raw("mx.plain.test") as c:
            assert c.say("RSET")[0] == 250 and c.reply()[0] == 250


@test
def a_host_can_fall_silent_or_deaf():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test at-dot=silent")
        with w.raw("mx.plain.test") as c:
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.send(message("s") + ".\r\n")
            c.socket.settimeout(0.3)
            raises(socket.timeout, c.reply)
        w.set("host mx.plain.test at-dot=normal at-body=silent")
        with w.raw("mx.plain.test") as c:
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.socket.settimeout(0.5)
            try:
                for _ in range(1000):
                    c.send("x" * 70000)
                assert False
            except socket.timeout:
                pass
        w.set("host mx.plain.test at-body=normal at-greeting=silent")
        with w.raw("mx.plain.test", hello=False) as c:
            c.socket.settimeout(0.3)
            raises(socket.timeout, c.reply)


@test
def a_slow_reader_takes_its_time():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test read-rate=20k")
        with w.raw("mx.plain.test") as c:
            start = time.monotonic()
            assert transaction(c, ["a@plain.test"], "slow", ("x" * 70 + "\r\n") * 200)[-1] == 250
            assert 0.5 < time.monotonic() - start < 3


@test
def an_idle_client_is_sent_away():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test idle=200ms")
        with w.raw("mx.plain.test") as c:
            assert c.reply()[0] == 421 and c.reply() == (0, "")


@test
def dead_hosts_refuse_black_holes_swallow_and_both_come_back():
    with World(SCENARIO) as w:
        address = (w.address("mx.plain.test"), w.port)
        with w.raw("mx.plain.test") as c:
            w.set("host mx.plain.test dead")
            assert c.reply() == (0, "")
        raises(ConnectionRefusedError, socket.create_connection, address, 2)
        w.set("host mx.plain.test dead=no blackhole")
        raises(socket.timeout, socket.create_connection, address, 0.5)
        w.set("host mx.plain.test blackhole=no")
        with w.raw("mx.plain.test") as c:
            assert c.greeting[0] == 220
    with World("domain late.test dead-for=500ms\n") as w:
        address = (w.address("mx.late.test"), w.port)
        raises(ConnectionRefusedError, socket.create_connection, address, 2)
        time.sleep(0.7)
        socket.create_connection(address, 2).close()


@test
def hosts_can_refuse_everybody():
    with World("domain no.test refuse\ndomain busy.test busy\n") as w:
        with w.raw("mx.no.test", hello=False) as c:
            assert c.reply()[0] == 554
        greetings = []
        for _ in range(3):
            with w.raw("mx.busy.test", hello=False) as c:
                greetings.append(c.reply()[0])
        assert greetings == [421, 421, 220]


@test
def lmtp_answers_for_each_recipient():
    with World(SCENARIO) as w, Raw("127.0.0.2", w.where["lmtp_port"], hello=False) as c:
        assert "LMTP" in c.reply()[1]
        assert c.codes("EHLO x", "LHLO x", "MAIL FROM:<>") == [502, 250, 250]
        for rcpt in ("a@any.test", "dotfail-b@any.test", "dotdefer-c@any.test", "d@any.test"):
            assert c.say(f"RCPT TO:<{rcpt}>")[0] == 250
        assert c.say("DATA")[0] == 354
        c.send(message("l") + ".\r\n")
        assert [c.reply()[0] for _ in range(4)] == [250, 550, 451, 250]
        assert w.receipts() == {("a@any.test", "l"): 1, ("d@any.test", "l"): 1}


@test
def chunks_are_put_together():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test chunking")
        content = message("b", "..\r\n.\r\nx\r\n").encode()
        with w.raw("mx.plain.test") as c:
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>")
            c.send(b"BDAT 10\r\n" + content[:10])
            assert c.reply()[0] == 250
            c.send(b"BDAT %d LAST\r\n" % (len(content) - 10) + content[10:])
            assert c.reply()[0] == 250
            c.say("MAIL FROM:<>")
            c.say("RCPT TO:<unknown-1@plain.test>")
            c.send(b"BDAT 5 LAST\r\nNOOP\n")
            assert c.reply()[0] == 503 and c.say("RSET")[0] == 250
        row = w.ask("recipients")[0]
        assert row["sha256"] == hashlib.sha256(b"..\r\n.\r\nx\r\n").hexdigest() and row["count"] == 1
        assert w.violations() == {}


@test
def a_smarthost_wants_a_password():
    with World(SCENARIO) as w:
        w.set("host mx.plain.test auth=joe:secret tls-required")
        with w.raw("mx.plain.test") as c:
            assert c.say("MAIL FROM:<>")[0] == 530
        w.set("host mx.plain.test tls-required=no")
        with w.smtp("mx.plain.test") as client:
            raises(smtplib.SMTPAuthenticationError, client.login, "joe", "wrong")
            client.login("joe", "secret")
            client.sendmail("s@x.test", ["a@plain.test"], message("auth"))
        assert w.violations() == {}


# ---- breaches of protocol ----

@test
def every_breach_by_the_client_is_counted():
    cases = [
        ("bare_lf", b"NOOP\n"),
        ("bare_cr", b"NOOP a\rb\r\n"),
        ("nul", b"NOOP a\0b\r\n"),
        ("line_too_long", b"NOOP " + b"x" * 600 + b"\r\n"),
        ("past_sync", b"NOOP\r\nNOOP\r\n"),
        ("out_of_order", b"RCPT TO:<a@plain.test>\r\n"),
        ("out_of_order", b"DATA\r\n"),
        ("out_of_order", b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n"),
        ("unknown_command", b"HELLO\r\n"),
        ("unknown_command", b"BDAT 0 LAST\r\n"),
        ("bad_syntax", b"MAIL FROM: a@b\r\n"),
        ("parameter", b"MAIL FROM:<> FOO=1\r\n"),
        ("utf8_envelope", b"MAIL FROM:<j\xc3\xb6rg@x.test>\r\n"),
    ]
    with World(SCENARIO) as w:
        before = {}
        for name, data in cases:
            with w.raw("mx.plain.test") as c:
                c.send(data)
                c.reply()
                if b"\r\nMAIL" in data or name == "past_sync":
                    c.reply()
            now = w.violations()
            grown = {k for k in now if now[k] != before.get(k, 0)}
            assert grown == {name}, (name, data, grown)
            before = now
        first = w.stats()["violations"]["unknown_command"]["first"]
        assert first == "mx.plain.test: HELLO", first


@test
def every_breach_in_the_content_is_counted():
    cases = [
        ("bare_lf", b"a\nb\r\n"),
        ("bare_cr", b"a\rb\r\n"),
        ("nul", b"a\0b\r\n"),
        ("line_too_long", b"x" * 999 + b"\r\n"),
        ("dot_not_stuffed", b".x\r\n"),
        ("eight_bit", b"\xff\r\n"),
        ("bare_lf", b"a\n.\nb\r\n"),
    ]
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        before = {}
        for name, body in cases:
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.send(b"X-Mailrace-Id: i\r\n\r\n" + body + b".\r\n")
            assert c.reply()[0] == 250
            now = w.violations()
            assert {k for k in now if now[k] != before.get(k, 0)} == {name}, (name, now)
            before = now
        c.codes("MAIL FROM:<> BODY=8BITMIME SIZE=100", "RCPT TO:<a@plain.test>", "DATA")
        c.send(b"\r\n\xff" + b"x\r\n" * 1000 + b".\r\n")
        assert c.reply()[0] == 250
        now = w.violations()
        assert {k for k in now if now[k] != before.get(k, 0)} == {"no_id", "size_understated"}, now


@test
def content_torn_at_every_byte_is_the_same_content():
    content = message("torn", "..dot\r\n..\r\nend\r\n").encode() + b".\r\nNOOP\r\n"
    with World(SCENARIO) as w, w.raw("mx.plain.test") as c:
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(content)):
            c.codes("MAIL FROM:<>", "RCPT TO:<a@plain.test>", "DATA")
            c.send(content[:cut])
            time.sleep(0.001)
            c.send(content[cut:])
            assert c.reply()[0] == 250 and c.reply()[0] == 250, cut
        stats = w.stats()
        assert stats["contents"] == 1 and stats["recipients"] == len(content) - 1 and w.violations() == {}


# ---- the source ----

@test
def the_source_hands_over_every_recipient_once():
    with World("", "--domains", "50") as w:
        for options in ([], ["--pipelining"], ["--connections", "4", "--per-transaction", "7"],
                        ["--order", "mailman", "--per-transaction", "10", "--connection-per-message"],
                        ["--uniform", "--order", "sorted", "--size", "100k"],
                        ["--personalised", "--connections", "5", "--pipelining"]):
            before = w.stats()
            code, report = source(w, "--recipients", "600", "--domains", "50", "--id", " ".join(options) or "-", *options)
            after = w.stats()
            assert code == 0 and report["accepted"] == 600 and report["refused"] == 0, report
            assert after["receipts"] - before["receipts"] == 600 and after["duplicates"] == 0
            assert after["transactions"] - before["transactions"] == report["transactions"]
            assert after["connections"] - before["connections"] == report["connections"]
            assert after["violation_count"] == 0, after["violations"]
        assert len([r for r in w.receipts() if r[0].endswith("@d0.example")]) > 100


@test
def the_source_speaks_tls_logs_in_and_chunks():
    with World("host relay.test 127.0.0.3 relay chunking auth=joe:secret tls-required\n", "--domains", "50") as w:
        code, report = source(w, "--recipients", "60", "--domains", "50", "--personalised", "--connections", "3", "--pipelining",
                              "--chunking", "--starttls", "--auth", "joe:secret", "--connection-per-message")
        stats = w.stats()
        assert code == 0 and report["accepted"] == 60 and report["tls"] == 60, report
        assert report["tls_resumed"] >= 57 and stats["tls_resumed"] == report["tls_resumed"] and stats["tls"] == 60
        assert stats["receipts"] == 60 and stats["duplicates"] == 0 and stats["violation_count"] == 0, stats
        assert source(w, "--recipients", "10", "--starttls", "--auth", "joe:wrong")[1]["lost_connections"] == 1
        assert source(w, "--recipients", "10")[1]["refused"] == 10
        code, report = source(w, "--recipients", "4", "--per-transaction", "2", "--size", "10M", "--starttls", "--auth", "joe:secret",
                              "--id", "big")
        assert code == 0 and report["accepted"] == 4 and report["bytes"] > 2 * 10000000, report
        assert w.stats()["violation_count"] == 0


@test
def mail_is_timed_and_round_trips_are_counted():
    with World("host relay.test 127.0.0.3 relay latency=20ms chunking\n", "--domains", "5") as w:
        source(w, "--recipients", "10", "--personalised", "--pipelining", "--id", "urgent")
        stats = w.stats()
        assert stats["latency_us"]["count"] == 10 and 18000 <= stats["latency_us"]["p50"] < 1000000, stats
        assert (stats["messages_warm"], stats["round_trips_warm"]) == (9, 18), stats
        assert 0 < stats["last_arrival_us"] - stats["first_arrival_us"] < 60000000
        source(w, "--recipients", "10", "--personalised", "--pipelining", "--chunking", "--id", "bulk")
        after = w.stats()
        assert after["bdat"] == 10 and after["round_trips_warm"] - stats["round_trips_warm"] == 9, after
        group = w.ask("latency bulk")[0]
        assert group["messages"] == group["recipients"] == group["latency_us"]["count"] == 10
        assert group["latency_us"]["p50"] < 18000, group  # its first byte waits for nothing
        assert [row["prefix"] for row in w.ask("latency")] == ["urgent", "bulk"] and "error" in w.ask("latency x")[0]


@test
def the_source_keeps_its_pace_and_its_bounds():
    with World("", "--domains", "5") as w:
        code, report = source(w, "--recipients", "50", "--personalised", "--rate", "20/s", "--time", "500ms")
        assert code == 0 and report["accepted"] == 10 and report["unsent"] == 40 and report["unanswered"] == 0, report
        assert report["elapsed_ms"] >= 450
        code, report = source(w, "--recipients", "50", "--per-transaction", "5", "--messages", "4", "--burst", "2", "--burst-pause", "100ms",
                              "--connection-per-message", "--connections", "2", "--id", "b")
        assert code == 0 and report["accepted"] == 20 and report["connections"] == 4 and report["elapsed_ms"] >= 100, report


@test
def a_source_that_is_sent_away_goes_on():
    with World("host relay.test 127.0.0.3 relay messages=3\n", "--domains", "5") as w:
        for options in (["--pipelining"], []):
            code, report = source(w, "--recipients", "20", "--personalised", "--id", " ".join(options) or "-", *options)
            assert code == 0 and report["accepted"] == 20 and report["sent_away"] == 6 and report["connections"] == 7, report
        assert w.stats()["duplicates"] == 0


@test
def the_source_says_who_was_refused():
    with World("", "--domains", "5") as w:
        path = os.path.join(w.directory.name, "list")
        with open(path, "w", encoding="ascii") as file:
            file.write("a@d0.example\nunknown-b@d0.example\n\ndefer-c@d1.example\n")
        for options in ([], ["--pipelining"]):
            code, report = source(w, "--rcpt-file", path, *options)
            assert code == 1 and report["accepted"] == 1 and report["refused"] == 2, report
            assert {e["rcpt"] for e in report["examples"]} == {"unknown-b@d0.example", "defer-c@d1.example"}
        for stage in ("mail", "data", "dot"):
            w.set(f"host relay.test at-{stage}=\"451 4.3.0 no\"")
            for options in ([], ["--pipelining"]):
                code, report = source(w, "--rcpt-file", path, *options)
                expected = 1 if stage != "mail" else 3
                assert code == 1 and report["accepted"] == 0 and report["refused"] - (3 - expected) == expected, report
            w.set(f"host relay.test at-{stage}=normal")
        w.set("host relay.test at-dot=drop")
        code, report = source(w, "--rcpt-file", path)
        assert code == 1 and report["unanswered"] == 1 and report["lost_connections"] == 1, report
        w.set("host relay.test dead")
        assert source(w, "--recipients", "10")[0] == 1


@test
def the_source_knows_the_shares_of_zipf():
    with World("", "--domains", "100") as w:
        source(w, "--recipients", "2000", "--domains", "100")
        counts = {d["name"]: d["recipients"] for d in w.ask("domains")}
        assert sum(counts.values()) == 2000 and min(counts.values()) >= 3
        assert 370 < counts["d0.example"] < 400 and 185 < counts["d1.example"] < 200


# ---- the program ----

@test
def twenty_thousand_recipients_take_seconds():
    with World("", "--domains", "1000", "--hosted", "30%") as w:
        start = time.monotonic()
        code, _ = source(w, "--recipients", "20000", "--domains", "1000")
        assert code == 0 and time.monotonic() - start < 5
        assert len(w.ask("recipients")) == 20000


@test
def the_disk_is_measured_and_left_clean():
    with tempfile.TemporaryDirectory() as directory:
        def run(where):
            return subprocess.run([PROGRAM, "disk", "--directory", where, "--time", "50ms"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        done = run(directory)
        report = json.loads(done.stdout)
        assert done.returncode == 0 and report["fdatasyncs_per_s"] > 0 and report["write_bytes_per_s"] > 0, report
        assert os.listdir(directory) == [] and run(directory + "/none").returncode == 74


@test
def a_quiet_ledger_counts_without_names():
    with World("", "--domains", "50", "--quiet-ledger") as w:
        for _ in range(2):
            assert source(w, "--recipients", "5000", "--domains", "50", "--connections", "3", "--pipelining")[0] == 0
        stats = w.stats()
        assert (stats["receipts"], stats["duplicates"], stats["contents"]) == (5000, 5000, 1), stats
        assert "error" in w.ask("recipients")[0] and stats["violation_count"] == 0


@test
def hosts_stumble_over_chunks():
    with World("host relay.test 127.0.0.3 relay chunking-refused\n", "--domains", "5") as w:
        code, report = source(w, "--recipients", "5", "--personalised", "--chunking", "--pipelining")
        assert code == 1 and report["refused"] == 5 and report["lost_connections"] == 0, report
        w.set("host relay.test at-bdat=silent")
        code, report = source(w, "--recipients", "5", "--personalised", "--chunking", "--timeout", "300ms")
        assert code == 1 and report["unanswered"] == 5 and report["lost_connections"] == 1, report
        w.set("host relay.test at-bdat=normal drop-behind")
        assert source(w, "--recipients", "5", "--personalised", "--chunking")[0] == 0
        assert w.stats()["bdat"] == 11 and w.stats()["violation_count"] == 0, w.stats()


@test
def quit_and_signals_end_it_cleanly():
    with World(SCENARIO) as w:
        with w.raw("mx.plain.test"):
            assert w.ask("quit") == [{"ok": True}]
            assert w.process.wait(5) == 0
    with World(SCENARIO) as w:
        w.process.send_signal(signal.SIGINT)
        assert w.process.wait(5) == 0


@test
def wrong_words_are_explained():
    def run(*options, scenario=""):
        return subprocess.run([PROGRAM, *options], input=scenario, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=10, check=False)
    assert run().returncode == 64 and run("what").returncode == 64
    assert run("internet", "--nonsense").returncode == 64 and "nonsense" in run("internet", "--nonsense").stderr
    assert run("source", "--to", "nowhere").returncode == 64
    for line in ("domain x.test latency=soon", "domain x.test colour=red", "what", "host x.test 1.2.3", "host x.test",
                 "domain x.test mx=y.test dead", "generate ten", "generate 10 mix=no:5%", "alias a.test"):
        result = run("internet", "--scenario", "-", scenario="\n" + line + "\n")
        assert result.returncode == 78 and "line 2:" in result.stderr, (line, result.stderr)
    assert "--scenario" in run("internet", "--help").stdout
    with World(SCENARIO) as w:
        assert "error" in w.ask("set host nobody.test dead")[0] and "error" in w.ask("set host mx.plain.test x=1")[0]
        assert "error" in w.ask("nonsense")[0]


@test
def the_manual_names_every_option_and_key():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "docs", "man", "mailrace-bench.1"), encoding="ascii") as file:
        words = set(re.findall(r"[a-z0-9][a-z0-9-]*", file.read()))
    missing = []
    for subcommand in ("internet", "source", "disk"):
        text = subprocess.run([PROGRAM, subcommand, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        missing += [option for option in re.findall(r"--([a-z-]+)", text) if option not in words]
    result = subprocess.run([PROGRAM, "internet", "--scenario", "-"], input="domain x colour=red\n", text=True,
                            stderr=subprocess.PIPE, check=False)
    keys = result.stderr.strip().split(": ")[-1].split()
    assert len(keys) > 40
    missing += [key for key in keys if key.removeprefix("at-") not in words]
    assert missing == ["help", "help", "help"], missing


def main():
    passed = failed = 0
    for function in TESTS:
        try:
            function()
            passed += 1
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            line = sys.exc_info()[2]
            while line.tb_next:
                line = line.tb_next
            print(f"FAILED {function.__name__}: {type(error).__name__} {error} (line {line.tb_lineno})")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
