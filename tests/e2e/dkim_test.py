# SPDX-License-Identifier: MIT
"""Mail is signed as it leaves: what a receiver gets verifies by an implementation that is not ours."""
import os
import socketserver
import subprocess
import threading

import dkim

from rig import Rig, expect, main, program, wait_for

MAIL = ("From: Ann <ann@lists.example>\r\nTo: all@lists.example\r\nSubject: Is  dinner\r\n\tready?\r\nDate: Tue, 24 Nov 2026 10:49:27 +0000\r\n"
        "Message-ID: <1@lists.example>\r\nList-Id: <all.lists.example>\r\n\r\n%s\r\n.a line with a dot \t in front\r\n\r\n\r\n")


class Sink(socketserver.ThreadingTCPServer):
    """A host that keeps what it is sent, byte by byte."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, chunking):
        super().__init__(("127.0.0.1", 0), Talk)
        self.chunking, self.mails, self.lock = chunking, [], threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def port(self):
        return self.server_address[1]


class Talk(socketserver.StreamRequestHandler):
    def say(self, *lines):
        for line in lines:
            self.wfile.write(line.encode() + b"\r\n")

    def keep(self, data):
        with self.server.lock:
            self.server.mails.append(data)

    def read_dotted(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def handle(self):
        self.say("220 sink.example")
        chunks = b""
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"EHLO":
                self.say("250-sink.example", *(["250-CHUNKING"] if self.server.chunking else []), "250 PIPELINING")
            elif verb == b"DATA":
                self.say("354 go on")
                self.keep(self.read_dotted())
                self.say("250 kept")
            elif verb == b"BDAT":
                chunks += self.rfile.read(int(line.split()[1]))
                if line.upper().strip().endswith(b"LAST"):
                    self.keep(chunks)
                    chunks = b""
                self.say("250 kept")
            else:
                self.say("221 bye" if verb == b"QUIT" else "250 fine")


def keys(directory):
    """Two keys of one domain, made as an administrator makes them; and the DNS as their advice says."""
    names = {}
    for selector, more in (("m1", ["--bits", "2048"]), ("m2", ["--ed25519"])):
        path = os.path.join(directory, selector + ".pem")
        said = subprocess.run([program("mailrace"), "dkim", "keygen", "lists.example", selector, path] + more,
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        line = [line for line in said.split("\n") if " IN TXT " in line][0]
        name, value = line.split(" IN TXT ")
        names[name.encode()] = "".join(value.split('"')[1::2]).encode()
        expect(os.stat(path).st_mode & 0o007 == 0, "everybody may read the key")
    return names


def signed_mails(chunking, body, rcpts, inbound="false"):
    sink = Sink(chunking)
    rig = Rig("domain a.example\n", start=False)
    with rig:
        names = keys(rig.directory)
        rig.write_config('routes: [{domain: "*", to: "smtp://127.0.0.1:%d", inbound: %s}]\n'
                         'sites: {default: {recipients_per_transaction: 1}}\n'
                         'dkim: [{domain: lists.example, selector: m1, key: %s/m1.pem}, {domain: lists.example, selector: m2, key: %s/m2.pem}]\n'
                         % (sink.port(), inbound, rig.directory, rig.directory))
        rig.start()
        with rig.smtp() as smtp:
            smtp.sendmail("all-bounces@lists.example", rcpts, (MAIL % body).encode())
        wait_for(lambda: len(sink.mails) == len(rcpts), "%d mails at the sink" % len(rcpts), 60)
        rig.wait_empty()
        record = subprocess.run([program("mailrace"), "-c", rig.config_path, "dkim", "record", "lists.example"], stdout=subprocess.PIPE, text=True,
                                check=True).stdout
        expect(all(name.decode() in record for name in names), record)
    sink.shutdown()
    sink.server_close()
    return sink.mails, names


def expect_verified(mail, names):
    verifier = dkim.DKIM(mail)
    for which in (0, 1):
        expect(verifier.verify(which, dnsfunc=lambda name, timeout=5: names[name]), "signature %d: %r" % (which, mail[:600]))
    broken = dkim.DKIM(mail.replace(b"dinner", b"supper"))
    expect(not broken.verify(0, dnsfunc=lambda name, timeout=5: names[name]), "a changed subject was not noticed")


def test_one_mail_is_signed_twice_over():
    mails, names = signed_mails(False, "short", ["one@a.example"])
    expect_verified(mails[0], names)
    expect(mails[0].count(b"DKIM-Signature:") == 2, "not two signatures")


def test_a_post_is_signed_for_everybody():
    mails, names = signed_mails(False, "long\r\n" * 30000, ["user%d@a.example" % i for i in range(5)])
    for mail in mails:
        expect_verified(mail, names)


def test_a_chunk_is_as_long_as_was_said():
    mails, names = signed_mails(True, "short", ["user%d@a.example" % i for i in range(5)])
    for mail in mails:
        expect_verified(mail, names)


def test_a_large_one_is_signed_as_it_streams():
    mails, names = signed_mails(True, "large\r\n" * 300000, ["one@a.example", "two@a.example"])
    for mail in mails:
        expect_verified(mail, names)


def test_a_way_that_strangers_may_use_gets_no_signature():
    mails, _ = signed_mails(False, "forged", ["one@a.example", "two@a.example"], inbound="true")
    expect(not any(b"DKIM-Signature" in mail for mail in mails), "signed: %r" % mails[0][:300])


def test_a_bad_key_is_named():
    rig = Rig("domain a.example\n", start=False)
    with rig:
        with open(os.path.join(rig.directory, "bad.pem"), "w") as f:
            f.write("no key\n")
        rig.write_config("dkim: [{domain: lists.example, selector: m1, key: %s/bad.pem}]\n" % rig.directory)
        run = subprocess.run([program("mailrace"), "check", rig.config_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        expect(run.returncode == 78 and "holds no private key" in run.stderr and ":%d:" % 1 not in run.stdout, run.stderr)
        again = subprocess.run([program("mailrace"), "dkim", "keygen", "lists.example", "m1", os.path.join(rig.directory, "bad.pem")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        expect(again.returncode == 73 and "File exists" in again.stderr, again.stderr)


if __name__ == "__main__":
    main(globals())
