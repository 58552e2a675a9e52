# SPDX-License-Identifier: MIT
"""The submission and inbound ports, as mail programs, libraries, guessers and strangers meet them."""
import base64
import hashlib
import hmac
import json
import os
import re
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from rig import PATIENCE, Rig, expect, free_port, main, program, wait_for

ANN, PASSWORD = "ann@x.example", "open sesame"
UNSAFE = ssl._create_unverified_context()


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Office(Rig):
    """A rig with a submission listener for STARTTLS (port), one for TLS at once (tls_port), and an inbound one (in_port)."""

    def __init__(self, scenario="domain a.example store\n", config="", users=True):
        self.tls_port, self.in_port = free_port(), free_port()
        super().__init__(scenario, start=False)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=relay.test", "-addext", "subjectAltName=DNS:relay.test,IP:127.0.0.1", "-keyout", self.directory + "/key.pem", "-out", self.directory + "/cert.pem"], check=True, capture_output=True)
        self.write_config(config)
        if users:
            self.user("add", ANN, "--from", "news@x.example", "--from", "@lists.example")
            self.user("add", "shop", "--from", "*", password="x\n")
        self.start()

    def defaults(self):
        keys = super().defaults()
        keys["listen"] = ('listen: [{address: "127.0.0.1:%d", role: submission, tls: starttls}, {address: "127.0.0.1:%d", role: submission, '
                          'tls: implicit}, {address: "127.0.0.1:%d", role: inbound}]' % (self.port, self.tls_port, self.in_port))
        keys["tls"] = "tls: {certificate: cert.pem, key: key.pem}"
        keys["users"] = "users: users"
        keys["submission"] = "submission: {usage: usage}"
        return keys

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.in_port), 1).close()  # the last one
            return super().is_up()
        except OSError:
            return False

    def user(self, *words, password=PASSWORD + "\n"):
        done = subprocess.run([program("mailrace"), "-c", self.config_path, "user", *words], input=password, capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0, "user %s: %s%s" % (words, done.stdout, done.stderr))
        return done.stdout

    def plain(self):
        s = smtplib.SMTP("127.0.0.1", self.port, "client.test", timeout=30 * PATIENCE)
        s.ehlo()
        return s

    def secure(self, login=True, user=ANN, password=PASSWORD, source="127.0.0.1"):
        s = smtplib.SMTP_SSL("127.0.0.1", self.tls_port, "client.test", timeout=30 * PATIENCE, context=UNSAFE, source_address=(source, 0))
        s.ehlo()
        if login:
            s.login(user, password)
        return s

    def stored(self):
        return [row["raw"] for row in self.internet.ask("messages a.example")]


def mail(sender=ANN, more="", body="hi\r\n"):
    return ("From: Ann <%s>\r\nTo: u@a.example\r\nSubject: x\r\n%s\r\n%s" % (sender, more, body)).encode()


def refused(code, words, call, *arguments):
    try:
        answer = call(*arguments)
    except smtplib.SMTPResponseException as error:
        answer = (error.smtp_code, error.smtp_error)
    except smtplib.SMTPSenderRefused as error:
        answer = (error.smtp_code, error.smtp_error)
    expect(isinstance(answer, tuple) and answer[0] == code and words.encode() in answer[1], "%s: expected %d %s" % (answer, code, words))


# --- logging in ---

def test_a_mail_program_logs_in_and_sends():
    with Office() as rig:
        with rig.plain() as s:
            expect("starttls" in s.esmtp_features and "auth" not in s.esmtp_features, s.esmtp_features)
            s.starttls(context=UNSAFE)
            s.ehlo()
            expect(s.esmtp_features["auth"].split() == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"], s.esmtp_features)
            s.login("Ann@X.example", PASSWORD)
            s.sendmail(ANN, ["u@a.example"], mail())
        rig.wait_empty()
        raw = rig.stored()[0]
        expect(re.match(r"Received: from client.test \(\[127.0.0.1\]\) by relay.test with\s+ESMTPSA \(TLSv1.3", raw), raw)
        expect("\r\nDate: " in raw and "\r\nMessage-ID: <" in raw and "Sender:" not in raw, raw)
        row = rig.events("accepted")[0]
        expect(row["user"] == ANN and row["flow"] == ANN and row["protocol"] == "ESMTPSA", row)


def test_every_mechanism_of_smtplib_works_on_both_ports():
    with Office() as rig:
        for start in (rig.plain, lambda: rig.secure(login=False)):
            for first in (True, False):
                for name in ("PLAIN", "LOGIN"):
                    with start() as s:
                        if "starttls" in s.esmtp_features:
                            s.starttls(context=UNSAFE)
                            s.ehlo()
                        s.user, s.password = ANN, PASSWORD
                        code, _ = s.auth(name, getattr(s, "auth_" + name.lower()), initial_response_ok=first)
                        expect(code == 235, "%s %s: %d" % (name, first, code))


def scram(s, user, password, name="SCRAM-SHA-256", header="n,,", binding=b""):
    """One exchange; returns the last reply, and whether the server has proven itself."""
    bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), b64(os.urandom(18)))
    code, text = s.docmd("AUTH", name + " " + b64(header + bare))
    if code != 334:
        return code, text, False
    first = base64.b64decode(text).decode()
    parts = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    last = "c=%s,r=%s" % (b64(header.encode() + binding), parts["r"])
    message = ",".join((bare, first, last)).encode()
    proof = bytes(a ^ b for a, b in zip(client_key, hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")))
    code, text = s.docmd("%s" % b64(last + ",p=" + b64(proof)))
    if code != 334:
        return code, text, False
    signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    is_proven = base64.b64decode(text) == b"v=" + base64.b64encode(signature)
    code, text = s.docmd("")
    return code, text, is_proven


def test_scram_proves_both_sides():
    with Office() as rig:
        with rig.secure(login=False) as s:
            code, text, is_proven = scram(s, "ANN@x.example", PASSWORD)
            expect(code == 235 and is_proven, (code, text))
            s.sendmail(ANN, ["u@a.example"], mail())
        for user, password, header in ((ANN, "open sesamE", "n,,"), ("nobody", PASSWORD, "n,,"), (ANN, PASSWORD, "y,,"), (ANN, PASSWORD, "n,a=shop,")):
            with rig.secure(login=False) as s:
                code, text, _ = scram(s, user, password, header=header)
                expect((code, text) == (535, b"5.7.8 authentication failed"), (user, header, code, text))
        expect(len(rig.events("auth_failed")) == 4, rig.events("auth_failed"))


def test_scram_is_bound_to_the_connection():
    context = ssl._create_unverified_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose binding Python knows
    with Office() as rig:
        for spoiled in (False, True):
            with smtplib.SMTP_SSL("127.0.0.1", rig.tls_port, "client.test", context=context) as s:
                s.ehlo()
                binding = s.sock.get_channel_binding("tls-unique")
                if spoiled:
                    binding = bytes(b ^ 1 for b in binding)
                code, text, _ = scram(s, ANN, PASSWORD, "SCRAM-SHA-256-PLUS", "p=tls-unique,,", binding)
                expect(code == (535 if spoiled else 235), (code, text))


def test_gnu_sasl_logs_in():
    with Office() as rig:
        # It could bind, so without --no-cb it would say that we cannot: somebody between has stripped our offer.
        for name, extra in (("PLAIN", []), ("LOGIN", []), ("SCRAM-SHA-256", ["--no-cb"]), ("SCRAM-SHA-256-PLUS", [])):
            for password in (PASSWORD, "wrong"):
                done = subprocess.run(["gsasl", "--smtp", "--connect=127.0.0.1:%d" % rig.port, "--mechanism=" + name, "--authentication-id=" + ANN,
                                       "--authorization-id=", "--password=" + password, "--x509-ca-file=" + rig.directory + "/cert.pem",
                                       "--hostname=relay.test", "--service=smtp", "--realm=", *extra], input="", capture_output=True, text=True, timeout=60)
                said = done.stdout + done.stderr
                expect(("235 2.7.0" in said) == (password == PASSWORD), "%s %s: %s" % (name, password, said))


def test_swaks_sends():
    with Office() as rig:
        for extra in (["--server", "127.0.0.1:%d" % rig.port, "-tls", "-a", "PLAIN"], ["--server", "127.0.0.1:%d" % rig.tls_port, "-tlsc", "-a", "LOGIN"]):
            done = subprocess.run(["swaks", "--from", ANN, "--to", "u@a.example", "-au", ANN, "-ap", PASSWORD, *extra], capture_output=True, text=True, timeout=60)
            expect(done.returncode == 0, done.stdout + done.stderr)
        rig.wait_empty()
        rig.expect_delivered(["u@a.example"], 2)


def test_nothing_before_tls_and_nothing_before_auth():
    with Office() as rig:
        with rig.plain() as s:
            refused(538, "STARTTLS", s.docmd, "AUTH", "PLAIN " + b64("\0%s\0%s" % (ANN, PASSWORD)))
            refused(530, "STARTTLS", s.mail, ANN)
            s.starttls(context=UNSAFE)
            refused(503, "EHLO", s.docmd, "AUTH", "PLAIN " + b64("\0%s\0%s" % (ANN, PASSWORD)))
            s.ehlo()
            refused(530, "authentication required", s.mail, ANN)
            refused(503, "MAIL", s.rcpt, "u@a.example")
            s.login(ANN, PASSWORD)
            refused(503, "already", s.docmd, "AUTH", "PLAIN")
            expect(s.mail(ANN)[0] == 250, "after AUTH")


def say(rig, *steps):
    """Says each step inside TLS and gives all that came back."""
    with socket.create_connection(("127.0.0.1", rig.tls_port), 10 * PATIENCE) as raw, UNSAFE.wrap_socket(raw) as s:
        s.settimeout(5 * PATIENCE)
        text = s.recv(4096)
        for step in steps:
            s.sendall(step)
            try:
                text += s.recv(65536)
            except (ConnectionError, ssl.SSLError):
                break
        s.settimeout(0.3 * PATIENCE)
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                text += piece
        except (socket.timeout, ConnectionError, ssl.SSLError):
            pass
    return text.decode("latin-1")


def test_malformed_exchanges_are_refused_one_by_one():
    hello, auth = b"EHLO c.test\r\n", b"AUTH PLAIN " + b64("\0%s\0%s" % (ANN, PASSWORD)).encode() + b"\r\n"
    with Office() as rig:
        for steps, wanted in (((b"AUTH PLAIN AGFu*\r\n",), "501 5.5.2"), ((b"AUTH PLAIN =\r\n", b"*\r\n"), "501 5.7.0"),
                              ((b"AUTH PLAIN\r\n", b"*\r\n"), "501 5.7.0"), ((b"AUTH PLAIN\r\n", b"YW5u\r\n"), "501 5.5.2"),
                              ((b"AUTH LOGIN\r\n", b"YW5u\r\n", b"YQ\r\n"), "501 5.5.2"), ((b"AUTH GSSAPI\r\n",), "504 5.5.4"),
                              ((b"AUTH\r\n",), "501 5.5.4"), ((b"AUTH SCRAM-SHA-256 " + b64("hello").encode() + b"\r\n",), "501 5.5.2"),
                              ((b"AUTH LOGIN\r\n", b"A" * 12400 + b"\r\n"), "500 5.5.6"), ((b"AUTH PLAIN " + b"A" * 20000 + b"\r\n",), "500 "),
                              ((auth + b"MAIL FROM:<%s>\r\n" % ANN.encode(),), "554 5.5.0"),
                              ((b"AUTH LOGIN\r\n" + b"YW5u\r\nc2VzYW1l\r\n",), "554 5.5.0"),
                              ((b"AUTH PLAIN " + b64(ANN + "\0" + "\0x").encode() + b"\r\n",), "535 5.7.8")):
            text = say(rig, hello, *steps)
            expect("\r\n" + wanted in text and "235 " not in text, "%s: %s" % (steps, text))
        expect("235 2.7.0" in say(rig, hello, auth), "a good one")


# --- guessing ---

def test_three_wrong_passwords_end_a_connection_and_each_takes_a_second():
    with Office() as rig:
        s = rig.secure(login=False)
        start = time.monotonic()
        codes = [s.docmd("AUTH", "PLAIN " + b64("\0%s\0wrong%d" % (ANN, n))) for n in range(3)]
        expect([code for code, _ in codes] == [535] * 3 and len(set(text for _, text in codes)) == 1, codes)
        expect(time.monotonic() - start >= 6, "too fast")
        refused(421, "failed attempts", s.getreply)
        s.close()
        rows = rig.events("auth_failed")
        expect(len(rows) == 3 and rows[0]["user"] == ANN and rows[0]["mechanism"] == "PLAIN" and rows[0]["ip"] == "127.0.0.1", rows)


def test_smtplib_spends_what_it_has_on_a_bad_password():
    with Office() as rig:
        with rig.secure(login=False) as s:
            try:
                s.login(ANN, "wrong")
                expect(False, "it got in")
            except smtplib.SMTPAuthenticationError as error:
                expect(error.smtp_code == 535, error)


class Guessers:
    """Many clients at once, at a hundred addresses, each with three wrong passwords a connection."""

    def __init__(self, rig, count, clients):
        self.rig, self.left, self.codes, self.lock = rig, count, {}, threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=("127.1.0.%d" % (n % 100 + 1),), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def note(self, code):
        with self.lock:
            self.codes[code] = self.codes.get(code, 0) + 1

    def work(self, source):
        number = 0
        while True:
            try:
                s = self.rig.secure(login=False, source=source)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.1)
                continue
            for _ in range(3):
                if not self.take():
                    s.close()
                    return
                number += 1
                try:
                    self.note(s.docmd("AUTH", "PLAIN " + b64("\0%s\0wrong%d" % (ANN, number)))[0])
                except (OSError, smtplib.SMTPException):
                    break
            s.close()


def test_ten_thousand_wrong_passwords_do_not_keep_the_owner_out():
    count = int(10000 / max(1, PATIENCE))
    with Office(config="limits: {connections: 2000, min_free_space: 1M}\nrelay_from: [192.0.2.1]") as rig:
        rig.secure().close()  # the owner has been here before
        guessers = Guessers(rig, count, 800)
        owned = 0
        while any(thread.is_alive() for thread in guessers.threads):
            with rig.secure() as s:
                s.sendmail(ANN, ["u@a.example"], mail(body="%d\r\n" % owned))
            owned += 1
            time.sleep(0.5)
        expect(235 not in guessers.codes and set(guessers.codes) <= {535, 454}, guessers.codes)
        expect(guessers.codes[535] < 200, "most must be turned away unlooked-at: %s" % guessers.codes)
        expect(sum(guessers.codes.values()) > 0.9 * count, guessers.codes)
        print("     %s; the owner sent %d mails meanwhile" % (guessers.codes, owned))
        rig.wait_empty()
        rig.expect_delivered(["u@a.example"], owned)


# --- what may be sent ---

def test_senders_are_checked_in_envelope_and_header():
    with Office() as rig:
        with rig.secure() as s:
            refused(550, "may not send as <eve@x.example>", s.mail, "eve@x.example")
            for sender in (ANN, "ann+shop@x.example", "News@x.example", "any@lists.example", ""):
                expect(s.mail(sender)[0] == 250, sender)
                s.rset()
            for raw, code, words in ((mail("eve@x.example"), 550, "may not send as <eve@x.example> (in From)"),
                                     (b"Subject: x\r\n\r\nhi\r\n", 550, "no From"), (b"hi\r\n", 550, "no field"),
                                     (mail(more="From: eve@x.example\r\n"), 550, "two From"), (b"From: ann\r\n\r\nhi\r\n", 550, "cannot be used"),
                                     (b"From: Ann <ann@x.example>, Eve <eve@x.example>\r\n\r\n", 550, "may not send as <eve@x.example>"),
                                     (mail(more="Sender: eve@x.example\r\n"), 550, "(in Sender)"), (b"From: ann@x.example", 250, ""),
                                     (mail(more="X: " + "y" * 300000 + "\r\n"), 550, "too large")):
                s.mail(ANN)
                s.rcpt("u@a.example")
                code_got, text = s.data(raw)
                expect(code_got == code and words.encode() in text, "%s: %s %s" % (raw[:60], code_got, text))
        rig.wait_empty()
        rig.expect_delivered(["u@a.example"])


def test_the_header_is_made_whole():
    with Office() as rig:
        with rig.secure() as s:
            s.sendmail(ANN, ["u@a.example"], mail("news@x.example", "Bcc: secret@y.example,\r\n more@y.example\r\nX-Last: 1\r\n"))
        rig.wait_empty()
        raw = rig.stored()[0]
        expect("secret" not in raw and "more@y" not in raw and "\r\nX-Last: 1\r\n\r\nhi\r\n" in raw, raw)
        expect("\r\nSender: ann@x.example\r\n" in raw, raw)


def test_private_traces_are_left_out_on_demand():
    with Office(config="submission: {usage: usage, hide_client: true, add_sender: false}") as rig:
        with rig.secure() as s:
            s.sendmail(ANN, ["u@a.example"], mail("news@x.example"))
        rig.wait_empty()
        raw = rig.stored()[0]
        expect("client.test" not in raw and "127.0.0.1" not in raw and "with ESMTPSA" in raw.replace("\r\n ", " ") and "Sender" not in raw, raw)
        expect(rig.events("accepted")[0]["ip"] == "127.0.0.1", "the log still knows")


def test_quotas_count_messages_and_recipients_and_survive_a_restart():
    with Office() as rig:
        rig.user("set", ANN, "--max-messages", "3/h", "--max-recipients", "5/d")
        with rig.secure() as s:
            s.sendmail(ANN, ["u@a.example", "v@a.example"], mail())
            s.mail(ANN)
            replies = [s.rcpt("u%d@a.example" % n)[0] for n in range(5)]
            expect(replies == [250, 250, 250, 452, 452], replies)
            s.rset()
            s.mail(ANN)
            expect([s.rcpt("u%d@a.example" % n)[0] for n in range(3)] == [250] * 3, "what was not sent does not count")
            s.data(mail())
            refused(452, "5 recipients a day", lambda: (s.mail(ANN), s.rcpt("u@a.example"))[1])
            s.rset()
        rig.wait_empty()
        row = json.loads(rig.user("list", "--json").splitlines()[0])
        expect(row["messages"] == {"hour": 2, "day": 2, "hour_max": 3} and row["recipients"] == {"hour": 5, "day": 5, "day_max": 5}, row)
        rig.stop()
        rig.start()
        rig.user("set", ANN, "--max-recipients", "none")
        with rig.secure() as s:
            s.sendmail(ANN, ["u@a.example"], mail())
            refused(452, "3 messages a hour", s.mail, ANN)
        with rig.secure(user="shop", password="x") as s:
            s.sendmail("any@y.example", ["u@a.example"], mail("any@y.example"))
        rig.wait_empty()


def test_users_change_while_the_server_runs():
    with Office(users=False) as rig:
        expect("nobody can log in" in rig.log_text(), "no users' file")
        with rig.secure(login=False) as s:
            refused(535, "failed", s.docmd, "AUTH", "PLAIN " + b64("\0%s\0%s" % (ANN, PASSWORD)))
        rig.user("add", ANN)
        s = rig.secure()
        rig.user("passwd", ANN, password="new\n")
        expect(s.mail(ANN)[0] == 250 and s.rset()[0] == 250, "who is in stays in")
        with rig.secure(login=False) as t:
            refused(535, "failed", t.docmd, "AUTH", "PLAIN " + b64("\0%s\0%s" % (ANN, PASSWORD)))
        rig.secure(password="new").close()
        rig.user("set", ANN, "--disable")
        refused(550, "may not send any more", s.mail, ANN)
        s.close()
        with rig.secure(login=False) as t:
            refused(535, "failed", t.docmd, "AUTH", "PLAIN " + b64("\0%s\0new" % ANN))
        with open(rig.directory + "/users", "a") as f:
            f.write("bob pasword=x\n")
        done = rig.mailrace("reload", check=False)
        expect(done.returncode == 78 and "the word 'pasword'" in done.stdout + done.stderr, done)


def test_a_users_file_open_to_others_is_refused():
    with Office() as rig:
        os.chmod(rig.directory + "/users", 0o644)
        expect("chmod" in rig.mailrace("reload", check=False).stderr, "it was read")
        rig.secure().close()


def test_hashing_does_not_hold_up_others():
    with Office() as rig:
        threads = [threading.Thread(target=lambda: rig.secure().close()) for _ in range(20)]
        with rig.secure() as s:
            for thread in threads:
                thread.start()
            slowest = 0
            for _ in range(50):
                start = time.monotonic()
                s.noop()
                slowest = max(slowest, time.monotonic() - start)
        for thread in threads:
            thread.join()
        print("     slowest NOOP %.0f ms" % (1000 * slowest))
        expect(not rig.events("long_turn"), rig.events("long_turn"))


# --- inbound ---

def test_inbound_takes_only_what_is_ours():
    with Office(config='routes: [{domain: lists.example, to: "smtp://127.0.0.1:9", inbound: true}, {domain: other.example, to: "smtp://127.0.0.1:9"}]') as rig:
        with smtplib.SMTP("127.0.0.1", rig.in_port, "mx.sender.example") as s:
            s.ehlo()
            expect("auth" not in s.esmtp_features, s.esmtp_features)
            expect(s.mail("stranger@y.example")[0] == 250, "MAIL")
            for rcpt in ("u@a.example", "u@other.example", "u@sub.lists.example", "u%a.example@relay.test", "postmaster"):
                refused(550, "5.7.1", s.rcpt, rcpt)
            expect(s.rcpt("dogs@Lists.example")[0] == 250, "a route with inbound")
            s.send("DATA\r\n")
            s.getreply()
            s.send("Subject: x\n\r\nhi\r\n.\r\n")
            refused(550, "5.6.0", s.getreply)
            refused(502, "not implemented", s.docmd, "AUTH", "PLAIN")
        expect(not rig.queue(), "something was taken")


if __name__ == "__main__":
    main(globals())
