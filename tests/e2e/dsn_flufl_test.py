#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our reports, read by what Mailman reads them with (Debian: python3-flufl.bounce).

    BUILD=build/plain dsn_flufl_test.py

The unit test program prints each report when it is given its name.
"""
import email
import os
import subprocess
import sys

from flufl.bounce import all_failures

PROGRAM = os.path.join(os.environ.get("BUILD", "build/plain"), "dsn_test")
USER = b"user@dom.example"
# name: (temporary failures, permanent failures)
EXPECTED = {
    "failed": (set(), {USER}),
    "several": (set(), {USER, b"Late+x@far.example"}),
    "full": (set(), {b"Late+x@far.example"}),
    "delayed": ({b"slow@dom.example"}, set()),
    "success": (set(), set()),
    "utf8": (set(), set()),  # flufl.bounce knows no message/global-delivery-status
    "hostile": (set(), {USER}),
}
TYPES = {
    "failed": ["text/plain", "message/delivery-status", "text/rfc822-headers"],
    "full": ["text/plain", "message/delivery-status", "message/rfc822"],
    "utf8": ["text/plain", "message/global-delivery-status", "message/global-headers"],
}
passed = failed = 0


def check(what, got, wanted):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}: {got!r}, not {wanted!r}")


def defects(message):
    """Mailman's LMTP door refuses a message with MIME defects as a whole."""
    return [d for part in message.walk() for d in part.defects]


def text_alone(raw, message):
    """The words for people, as a message of their own: no heuristic may take them for a bounce."""
    names = (b"from:", b"to:", b"subject:", b"date:")
    head = raw[: raw.index(b"\r\n\r\n")].split(b"\r\n")
    kept = [line for line in head if line.lower().startswith(names)]
    words = message.get_payload(0).get_payload(decode=True)
    return email.message_from_bytes(b"\r\n".join(kept + [b"", words]))


for name, wanted in EXPECTED.items():
    raw = subprocess.run([PROGRAM, name], check=True, stdout=subprocess.PIPE).stdout
    message = email.message_from_bytes(raw)
    check(f"{name}: recipients", all_failures(message), wanted)
    check(f"{name}: defects", defects(message), [])
    check(f"{name}: report-type", message.get_param("report-type"), "delivery-status")
    check(f"{name}: the text alone", all_failures(text_alone(raw, message)), (set(), set()))
    if name in TYPES:
        types = [part.get_content_type() for part in message.get_payload()]
        check(f"{name}: parts", types, TYPES[name])

print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
