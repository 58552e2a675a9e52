# SPDX-License-Identifier: MIT
"""Exim, tuned by its specification: chapters 14 (main options), 30 (smtp transport) and 49 (SMTP processing)."""
import os

from peers.debian import DebianPeer, write

TUNED = [
    ("split_spool_directory", "true", "14: for large numbers of messages in the spool"),
    ("smtp_accept_max", "200", "49: parallel hand-over"),
    ("smtp_accept_queue_per_connection", "0", "14: otherwise only ten messages of a connection are delivered at once, the others wait for a queue run"),
    ("smtp_accept_max_per_connection", "0", "14: a connection may bring any number of messages"),
    ("smtp_accept_reserve", "0", "14: no connections set aside for others"),
    ("remote_max_parallel", "20", "14: deliveries of one message in parallel; default 4"),
    ("queue_run_max", "20", "14: queue runners"),
    ("message_logs", "false", "14: saves writing a log file for each message"),
    ("rfc1413_query_timeout", "0s", "14: no ident"),
    ("recipients_max", "50000", "14: as large as mailrace's"),
    ("smtp_enforce_sync", "false", "14: the source is known to be in step"),
]
MAIN = """
primary_hostname = relay.test
qualify_domain = relay.test
domainlist local_domains =
hostlist relay_from_hosts = 127.0.0.0/8
local_interfaces = 127.0.0.1
acl_smtp_rcpt = acl_rcpt
spool_directory = /var/spool/exim4
log_file_path = {log}
pid_file_path = {run}/exim.pid
keep_environment =
never_users =
disable_ipv6 = true
"""
REST = """
begin acl
acl_rcpt:
  accept hosts = +relay_from_hosts
  deny
begin routers
out:
  driver = dnslookup
  transport = remote_smtp
  self = send
  no_more
begin transports
remote_smtp:
  driver = smtp
  allow_localhost
  max_rcpt = 0
  connection_max_messages = 1000
{transport}
begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""


class Peer(DebianPeer):
    NAME = "exim"
    PACKAGES = ("exim4-daemon-light", "exim4-base")
    USERS = ("Debian-exim",)
    TUNING = [("%s = %s" % (key, value), why) for key, value, why in TUNED] + [
        ("transport: max_rcpt = 0, connection_max_messages = 1000", "30: all recipients of a host in one transaction"),
        ("transport: hosts_try_fastopen unset, hosts_avoid_tls = * without TLS", "no needless tries; W4 leaves TLS to Exim's default, opportunistic")]

    def start(self, place):
        self.enter(place)
        lines = [MAIN.format(log=os.path.join(place.run, "log-%s"), run=place.run)] + ["%s = %s" % row[:2] for row in TUNED]
        if place.starttls:
            lines += ["tls_advertise_hosts = *", "tls_certificate = " + place.certificate, "tls_privatekey = " + place.key]
        else:
            lines += ["tls_advertise_hosts ="]
        transport = "  tls_tempfail_tryclear = true\n  tls_verify_hosts =\n  tls_try_verify_hosts =" if place.starttls else "  hosts_avoid_tls = *"
        write("/etc/exim4/exim4.conf", "\n".join(lines) + "\n" + REST.format(transport=transport))
        os.makedirs("/var/spool/exim4", exist_ok=True)
        place.command(["chown", "Debian-exim", "/var/spool/exim4", place.run])
        place.command(["chmod", "755", place.directory, place.spool])
        if place.starttls:
            place.command(["chown", "Debian-exim", place.certificate, place.key])
        place.spawn(["/usr/sbin/exim4", "-bdf", "-q1m", "-oX", str(place.port)])
