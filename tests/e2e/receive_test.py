# SPDX-License-Identifier: MIT
"""The relay port, as list managers, libraries and strangers meet it."""
import os
import smtplib
import socket
import ssl
import subprocess
import time
from rig import PATIENCE, Rig, expect, main, wait_for


def talk(rig, *steps):
    """Sends each step as it is, waits for an answer to it, and gives all that came back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", rig.port), 5 * PATIENCE) as s:
        s.settimeout(0.7 * PATIENCE)
        text = s.recv(4096)
        for step in steps:
            s.sendall(step)
            try:
                piece = s.recv(65536)
                while piece:
                    text += piece
                    s.settimeout(0.3 * PATIENCE)
                    piece = s.recv(65536)
                break
            except socket.timeout:
                s.settimeout(0.7 * PATIENCE)
            except ConnectionError:
                break
    return text.decode("latin-1")


def codes(text):
    return [line[:3] for line in text.split("\r\n") if line and line[3:4] == " "]


def test_smtplib_sends():
    with Rig() as rig:
        rig.send("list@lists.test", ["user@a.example"])
        rig.wait_empty()
        rig.expect_delivered(["user@a.example"])


def test_a_pipelined_conversation_is_answered_in_order():
    with Rig() as rig:
        text = talk(rig, b"EHLO c.test\r\n", b"MAIL FROM:<s@x.test>\r\nRCPT TO:<u1@a.example>\r\nRCPT TO:<bad>\r\n"
                         b"RCPT TO:<u2@a.example>\r\nDATA\r\n", b"Subject: x\r\n\r\nhi\r\n.\r\nNOOP\r\nQUIT\r\n")
        expect(codes(text)[-8:] == ["250", "250", "553", "250", "354", "250", "250", "221"] or
               codes(text)[-8:] == ["250", "250", "501", "250", "354", "250", "250", "221"], text)
        rig.wait_empty()
        rig.expect_delivered(["u1@a.example", "u2@a.example"])


def test_the_trace_and_missing_fields_are_added():
    with Rig("domain a.example store\n") as rig:
        talk(rig, b"EHLO c.test\r\n", b"MAIL FROM:<s@x.test>\r\nRCPT TO:<u1@a.example>\r\nDATA\r\n", b"Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n")
        rig.wait_empty()
        raw = rig.internet.ask("messages a.example")[0]["raw"]
        expect(raw.startswith("Received: from c.test"), raw)
        for field in ("\r\nDate: ", "\r\nMessage-ID: <", "by relay.test", "for <u1@a.example>", "ESMTP id "):
            expect(field.lower() in raw.lower(), "no %r in %s" % (field, raw))


def test_strangers_are_turned_away():
    with Rig(config='relay_from: ["192.0.2.0/24"]') as rig:
        with socket.create_connection(("127.0.0.1", rig.port)) as s:
            expect(s.recv(100).startswith(b"554 "), "a stranger was greeted")
        wait_for(lambda: rig.events("refused"), "the refusal to be an event")


def test_bdat_carries_bytes():
    with Rig("domain a.example store\n") as rig:
        body = b"Subject: x\r\n\r\n.hidden\r\n"
        text = talk(rig, b"EHLO c.test\r\n", b"MAIL FROM:<s@x.test>\r\nRCPT TO:<u1@a.example>\r\nBDAT 5\r\n" + body[:5] +
                    b"BDAT %d LAST\r\n" % (len(body) - 5) + body[5:] + b"QUIT\r\n")
        expect("CHUNKING" in text and codes(text)[-3:] == ["250", "250", "221"], text)
        rig.wait_empty()
        expect(rig.internet.ask("messages a.example")[0]["raw"].endswith("\r\n\r\n.hidden\r\n"), "BDAT changed the bytes")


def test_smuggling_endings_never_make_two_messages():
    endings = [b"\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
               b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"]
    with Rig("domain a.example store\n") as rig:
        for i, ending in enumerate(endings):
            evil = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<evil%d@a.example>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n" % i
            talk(rig, b"EHLO c.test\r\n", b"MAIL FROM:<s@x.test>\r\nRCPT TO:<good%d@a.example>\r\nDATA\r\n" % i,
                 b"Subject: x\r\n\r\nhi" + ending + evil + b"QUIT\r\n")
        rig.wait_empty()
        rig.expect_delivered(["good%d@a.example" % i for i in range(len(endings))])
        rig.expect_no_violation()


def test_limits_answer_as_list_managers_survive():
    with Rig(config="limits: {min_free_space: 1M, message_size: 10k, recipients_per_message: 3}") as rig:
        with rig.smtp() as s:
            s.ehlo()
            expect(s.esmtp_features["size"] == "10240", s.esmtp_features)
            expect(s.mail("s@x.test", ["SIZE=20000"])[0] == 552, "a declared size above the limit")
            s.mail("s@x.test")
            replies = [s.rcpt("u%d@a.example" % i)[0] for i in range(5)]
            expect(replies == [250, 250, 250, 452, 452], replies)
            code, _ = s.data(b"x" * 20000)
            expect(code == 552, code)
            expect(s.noop()[0] == 250, "the connection goes on")
        expect(not rig.queue(), "nothing was kept")


def test_forty_megabytes_stream_to_disk_in_bounded_memory():
    with Rig("domain a.example\n") as rig:
        line = b"0123456789" * 7 + b"\r\n"
        body = line * (39 * 1024 * 1024 // len(line))
        with rig.smtp() as s:
            s.sendmail("s@x.test", ["user@a.example"], b"X-Mailrace-Id: big\r\n\r\n" + body)
        with open("/proc/%d/status" % rig.daemon.pid) as f:
            peak = int([row for row in f if row.startswith("VmHWM")][0].split()[1])
        print("     peak memory %d MB" % (peak // 1024))
        if os.environ.get("BUILD", "build/plain") == "build/plain":
            expect(peak < 150 * 1024, "peak memory %d kB" % peak)
        rig.wait_empty(60)
        rig.expect_delivered(["user@a.example"])


def certificate(rig):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=relay.test", "-keyout", rig.directory + "/key.pem", "-out", rig.directory + "/cert.pem"],
                   check=True, capture_output=True)
    return "tls: {certificate: %s/cert.pem, key: %s/key.pem}" % (rig.directory, rig.directory)


def test_starttls_and_no_injection_through_it():
    rig = Rig(start=False)
    rig.write_config(certificate(rig) + '\nlisten: [{address: "127.0.0.1:%d", role: relay, tls: starttls}]' % rig.port)
    rig.start()
    with rig:
        context = ssl._create_unverified_context()
        with rig.smtp() as s:
            s.starttls(context=context)
            s.sendmail("s@x.test", ["user@a.example"], b"X-Mailrace-Id: 1\r\n\r\nhi\r\n")
            expect("starttls" not in s.esmtp_features, "STARTTLS inside TLS")
        text = talk(rig, b"EHLO c.test\r\n", b"STARTTLS\r\nMAIL FROM:<s@x.test>\r\n")
        expect("554" in codes(text), text)
        rig.wait_empty()
        rig.expect_delivered(["user@a.example"])


def test_international_addresses():
    with Rig("domain xn--bcher-kva.example\n") as rig:
        text = talk(rig, b"EHLO c.test\r\n", "MAIL FROM:<s@x.test>\r\nRCPT TO:<user@b\u00fccher.example>\r\nRSET\r\n".encode(),
                    "MAIL FROM:<s@x.test> SMTPUTF8\r\nRCPT TO:<user@B\u00dccher.example>\r\n"
                    "RCPT TO:<\u00fcser@xn--bcher-kva.example>\r\nDATA\r\n".encode(), b"X-Mailrace-Id: 1\r\n\r\nhi\r\n.\r\nQUIT\r\n")
        expect(codes(text)[-9:] == ["250", "553", "250", "250", "250", "250", "354", "250", "221"], text)
        rig.wait_empty()
        got = rig.receipts()
        expect(len(got) == 2 and "user@xn--bcher-kva.example" in got, got)


def test_errors_and_junk_end_a_connection():
    with Rig() as rig:
        text = talk(rig, b"EHLO c.test\r\n", b"NONSENSE\r\n" * 30)
        expect("421" in codes(text), text)
        expect("421" in codes(talk(rig, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")), "HTTP")
        expect(rig.is_up(), "still there")


def test_an_early_talker_is_sent_away():
    with Rig() as rig:
        with socket.create_connection(("127.0.0.1", rig.port)) as s:
            s.sendall(b"EHLO c.test\r\n")
            s.settimeout(3 * PATIENCE)
            first = s.recv(4096)
        expect(first[:3] in (b"554", b"220"), first)  # which one depends on who is faster; never a crash


def has_room(rig):
    try:
        return rig.smtp().quit()[0] == 221
    except smtplib.SMTPConnectError:
        return False


def test_a_full_house_says_421():
    with Rig(config="limits: {min_free_space: 1M, connections: 3}") as rig:
        held = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(3)]
        for s in held:
            s.recv(100)
        with socket.create_connection(("127.0.0.1", rig.port)) as s:
            expect(s.recv(100).startswith(b"421 "), "the fourth of three")
        for s in held:
            s.close()
        wait_for(lambda: has_room(rig), "a place")


def test_low_space_says_452_and_nothing_is_lost():
    with Rig(config="limits: {min_free_space: 100%}") as rig:
        with rig.smtp() as s:
            s.ehlo()
            code = wait_for(lambda: s.mail("s@x.test")[0] if s.rset() else 0, "an answer")
            expect(code == 452, code)


def test_a_client_that_vanishes_leaves_nothing():
    with Rig() as rig:
        for data in (b"EHLO c.test\r\n", b"EHLO c\r\nMAIL FROM:<s@x.test>\r\n", b"EHLO c\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\nhalf"):
            with socket.create_connection(("127.0.0.1", rig.port)) as s:
                s.recv(100)
                s.sendall(data)
                time.sleep(0.1)
        time.sleep(0.3)
        expect(not rig.queue(), rig.queue())


if __name__ == "__main__":
    main(globals())
