# SPDX-License-Identifier: MIT
"""Postfix, tuned as TUNING_README, QSHAPE_README, CONNECTION_CACHE_README and TLS_README say."""
import os

from peers.debian import DebianPeer, write

TUNED = [
    ("default_process_limit", "200", "TUNING_README: more delivery processes for much mail; beyond 200 nothing is gained on two cores"),
    ("default_destination_concurrency_limit", "20", "as many connections to a site as mailrace may have"),
    ("initial_destination_concurrency", "20", "TUNING_README: no slow start where the receivers are known to be fine"),
    ("default_destination_recipient_limit", "1000", "a transaction for all recipients of a domain in a message"),
    ("qmgr_message_active_limit", "100000", "QSHAPE_README: the whole of the work may be active"),
    ("qmgr_message_recipient_limit", "300000", "the same, counted in recipients"),
    ("in_flow_delay", "0", "TUNING_README: take mail as fast as it comes"),
    ("smtpd_peername_lookup", "no", "TUNING_README: no look-up of the client's name"),
    ("smtpd_client_connection_count_limit", "0", "one client may have all connections"),
    ("smtpd_error_sleep_time", "0", "the client is ours"),
]
TUNED_TLS = [
    ("smtp_tls_connection_reuse", "yes", "TLS_README: encrypted connections are used again, through tlsproxy"),
    ("smtp_tls_session_cache_database", "btree:${data_directory}/smtp_scache", "TLS_README: sessions are resumed"),
    ("smtpd_tls_session_cache_timeout", "3600s", "tickets for the source"),
]
MAIN = """
compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
mydomain = relay.test
myorigin = relay.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
maillog_file = {log}
maillog_file_prefixes = /
smtputf8_enable = no
biff = no
smtp_tls_security_level = {out}
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
tlsproxy  unix  -       -       n       -       0       tlsproxy
"""


class Peer(DebianPeer):
    NAME = "postfix"
    PACKAGES = ("postfix",)
    USERS = ("postfix", "postdrop")
    TUNING = [("%s = %s" % (key, value), why) for key, value, why in TUNED + TUNED_TLS]

    def start(self, place):
        self.enter(place)
        lines = [MAIN.format(log=os.path.join(place.run, "log"), out="may" if place.starttls else "none")]
        lines += ["%s = %s" % row[:2] for row in TUNED + (TUNED_TLS if place.starttls else [])]
        if place.starttls:
            lines += ["smtpd_tls_security_level = may", "smtpd_tls_cert_file = " + place.certificate, "smtpd_tls_key_file = " + place.key]
        write("/etc/postfix/main.cf", "\n".join(lines) + "\n")
        write("/etc/postfix/master.cf", MASTER.format(port=place.port))
        for path in ("/var/spool/postfix", "/var/lib/postfix"):
            os.makedirs(path, exist_ok=True)
        place.command(["chown", "postfix", "/var/lib/postfix"])
        place.command(["chmod", "755", place.directory, place.spool])
        place.spawn(["/usr/sbin/postfix", "start-fg"])
