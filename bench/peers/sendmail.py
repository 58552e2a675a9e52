# SPDX-License-Identifier: MIT
"""Sendmail, tuned by cf/README and its Installation and Operation Guide (sections 2.3, 4 and 5)."""
import os

from peers.debian import DebianPeer, write

TUNED = [
    ("define(`confDELIVERY_MODE', `background')", "deliver at once, in a process for each message"),
    ("define(`confMCI_CACHE_SIZE', `20')", "cf/README: open connections that are kept; default 2"),
    ("define(`confMCI_CACHE_TIMEOUT', `1m')", "and for how long"),
    ("define(`confFAST_SPLIT', `0')", "guide 5: envelopes are sorted by MX and split before they are queued"),
    ("define(`confMAX_DAEMON_CHILDREN', `200')", "parallel hand-over"),
    ("define(`confMAX_QUEUE_CHILDREN', `40')", "guide 2.3: queue runners in all"),
    ("define(`confMAX_RUNNERS_PER_QUEUE', `20')", "and for one queue group"),
    ("define(`confQUEUE_SORT_ORDER', `host')", "guide: messages for one host one after another, over one connection"),
    ("define(`confTO_IDENT', `0s')", "no ident"),
    ("define(`confDONT_PROBE_INTERFACES', `True')", "loopback is full of other hosts here"),
    ("define(`confREFUSE_LA', `200')", "never refuses for load"),
    ("define(`confQUEUE_LA', `200')", "never queues for load"),
    ("define(`confDELAY_LA', `0')", "never sleeps for load"),
    ("define(`confCONNECTION_RATE_THROTTLE', `0')", "takes connections as fast as they come"),
]
CONFIG = """divert(0)dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`generic')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confDOMAIN_NAME', `relay.test')dnl
{tuned}
{tls}
define(`QUEUE_DIR', `/var/spool/mqueue/q*')dnl
define(`STATUS_FILE', `{run}/statistics')dnl
define(`confPID_FILE', `{run}/sendmail.pid')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
FEATURE(`nouucp', `reject')dnl
FEATURE(`nocanonify')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`access_db', `hash -o /etc/mail/access')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={port}, Addr=127.0.0.1')dnl
MAILER(`smtp')dnl
"""
TLS = """define(`confCACERT', `%(cert)s')dnl
define(`confSERVER_CERT', `%(cert)s')dnl
define(`confSERVER_KEY', `%(key)s')dnl
define(`confCLIENT_CERT', `%(cert)s')dnl
define(`confCLIENT_KEY', `%(key)s')dnl"""
QUEUES = 10


class Peer(DebianPeer):
    NAME = "sendmail"
    PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf")
    USERS = ("smmta", "smmsp")
    TUNING = TUNED + [("QUEUE_DIR /var/spool/mqueue/q*, %d of them" % QUEUES, "guide 2.3: several queue directories"),
        ("no syslog", "there is none in its namespace: Sendmail alone writes no log")]

    def start(self, place):
        self.enter(place)
        tls = self.tls(place) if place.starttls else ""
        text = CONFIG.format(tuned="\n".join(key + "dnl" for key, why in TUNED), tls=tls, run=place.run, port=place.port)
        write("/etc/mail/bench.mc", text)
        write("/etc/mail/sendmail.cf", place.command(["m4", "-D_CF_DIR_=/usr/share/sendmail/cf/", "/etc/mail/bench.mc"]))
        write("/etc/mail/local-host-names", "")
        for n in range(QUEUES):
            os.makedirs("/var/spool/mqueue/q%d" % n, exist_ok=True)
        place.command(["chmod", "755", place.directory, place.spool])
        place.command(["chmod", "-R", "700", "/var/spool/mqueue"])
        place.spawn(["/usr/libexec/sendmail/sendmail", "-bD", "-q5m"])

    def tls(self, place):
        """Keys must lie where nobody else could write, up to the root."""
        files = {"cert": "/etc/mail/tls/bench.cert", "key": "/etc/mail/tls/bench.key"}
        for source, target in ((place.certificate, files["cert"]), (place.key, files["key"])):
            with open(source) as f:
                write(target, f.read(), 0o600)
        return TLS % files
