# SPDX-License-Identifier: MIT
"""OpenSMTPD.  smtpd.conf(5) has few limits to set, and recommends none for bulk."""
import os

from peers.debian import DebianPeer, write

CONFIG = """
smtp limit max-mails 100000
smtp limit max-rcpt 50000
smtp max-message-size 40M
mta max-deferred 100000
listen on 127.0.0.1 port {port} hostname relay.test
action "out" relay helo relay.test
match from any for any action "out"
"""


class Peer(DebianPeer):
    NAME = "opensmtpd"
    PACKAGES = ("opensmtpd",)
    TAKES_STARTTLS = False
    USERS = ("opensmtpd", "opensmtpq")
    TUNING = [
        ("smtp limit max-mails 100000, max-rcpt 50000", "defaults are 100 and 1000: the source stays on its connections"),
        ("W4: the hand-over is plain", "this build (6.8, with OpenSSL 3) breaks every TLS handshake as a server; it delivers over TLS"),
        ("mta max-deferred 100000", "default 100: the messages it remembers for a suspended host"),
    ]

    def start(self, place):
        self.enter(place)
        write("/etc/smtpd.conf", CONFIG.format(port=place.port))
        write("/etc/mailname", "relay.test\n")
        for path, mode in (("/var/lib/opensmtpd/empty", 0o755), ("/var/spool/smtpd", 0o711)):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
        place.command(["chmod", "755", place.directory, place.spool])
        place.spawn(["/usr/sbin/smtpd", "-d", "-F"])
