# SPDX-License-Identifier: MIT
"""Mail servers to measure: one module each, with a class Peer.

    find(cache)       the programs: {"name": version} when they are there, else None
    start(place)      starts the server; returns when it is told to listen, not necessarily when it does
    stop(place)       asks it to end; what does not is killed afterwards
    TUNING            [(setting, why)], as its own documentation recommends for bulk mail
    PACKAGES          Debian packages (or NPM) that hold it

A Place is where one run happens: directories, addresses, the certificate, and spawn(), which measures what it starts.
"""
import importlib
import os

NAMES = ("mailrace", "postfix", "exim", "sendmail", "opensmtpd", "haraka")


def load(name):
    return importlib.import_module("peers." + name).Peer()


def available():
    here = os.path.dirname(os.path.abspath(__file__))
    return [name for name in NAMES if os.path.exists(os.path.join(here, name + ".py"))]
