# SPDX-License-Identifier: MIT
"""What both programs say about configuration files: every error, where it stands, and what was meant."""
import json
import os
import re
import subprocess
import tempfile
from rig import TOP, expect, main, program

CHECKS = (lambda path: [program("mailraced"), "--check", "-c", path], lambda path: [program("mailrace"), "check", path])


def run(arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


class Folder:
    """A folder with one mailrace.yaml."""

    def __init__(self, text, mode=0o600):
        self.directory = tempfile.TemporaryDirectory(prefix="mailrace-config-")
        self.path = self.add("mailrace.yaml", text, mode)

    def add(self, name, text, mode=0o600):
        path = os.path.join(self.directory.name, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.directory.cleanup()


def refused(text, *wanted):
    """Both programs exit with 78; each of 'wanted' is (line, column, words) of one of the errors."""
    with Folder(text) as folder:
        for check in CHECKS:
            done = run(check(folder.path))
            expect(done.returncode == 78, "%d for %r: %s%s" % (done.returncode, text, done.stdout, done.stderr))
            for line, column, words in wanted:
                place = re.escape("%s:%d:%d: " % (folder.path, line, column))
                found = re.search("^%s.*%s" % (place, re.escape(words)), done.stderr, re.M)
                expect(found, "no %d:%d %r in %s" % (line, column, words, done.stderr))
        return done.stderr


def accepted(text, mode=0o600):
    with Folder(text, mode) as folder:
        for check in CHECKS:
            done = run(check(folder.path))
            expect(done.returncode == 0 and "no errors" in done.stdout, "%r: %s%s" % (text, done.stdout, done.stderr))
        return done.stderr


def test_good_files():
    for text in ("", "# nothing\n", "hostname: mail.example.org", "hostname: mail.example.org\n", '{"hostname": "mail.example.org"}'):
        expect(accepted(text) == "", text)


def test_the_example_of_the_manual_is_good():
    with open(os.path.join(TOP, "docs/man/mailrace.yaml.5")) as f:
        example = re.search(r"^\.Bd .*?\n(.*?)^\.Ed", f.read(), re.M | re.S).group(1)
    expect("routes" in example and accepted(example) == "", example)


def test_the_manual_lists_the_keys_of_the_program():
    keys = run([program("mailrace"), "config", "--man"]).stdout
    with open(os.path.join(TOP, "docs/man/mailrace.yaml.5")) as f:
        expect(keys.count(".It Cm ") > 50 and keys in f.read(), "mailrace.yaml(5) is not what 'mailrace config --man' prints")


def test_all_errors_are_shown_with_their_places():
    refused("limits: {mesage_size: 4M}\nretry: {jitter: 60%}\ndelivery:\n  threads: 65\n",
            (1, 10, "did you mean 'message_size'?"), (2, 17, "60%"), (4, 12, "65"))


def test_the_caret_stands_below_the_place():
    lines = refused("hostname: a.example\nretry: {expire: 5}\n", (2, 17, "a duration like")).split("\n")
    at = lines.index("    retry: {expire: 5}")
    expect(lines[at + 1].index("^") == lines[at].index("5}"), lines)


def test_a_key_stands_once():
    refused("hostname: a.example\nhostname: b.example\n", (2, 1, "duplicate"))


def test_fancy_yaml_is_refused():
    refused("hostname: &x a.example\n", (1, 14, "anchors"))
    refused("hostname: &x a.example\nspool: *x\n", (2, 9, "aliases"))
    refused("hostname: !!str a.example\n", (1, 17, "tags"))


def test_broken_yaml_has_a_place():
    with Folder("hostname: [a\n") as folder:
        done = run(CHECKS[1](folder.path))
        expect(done.returncode == 78 and re.search(r":\d+:\d+: ", done.stderr), done.stderr)


def test_what_is_not_in_this_version_is_said():
    refused("metrics: {address: \"127.0.0.1:1\"}\n", (1, 1, "'metrics' is not in this version"))



def test_units_are_not_guessed():
    refused("retry: {expire: 5}\nlimits: {message_size: 4x}\nsites: {default: {rate: 3}}\n",
            (1, 17, "5d"), (2, 24, "20M"), (3, 25, "100/s"))


def test_structures_are_checked():
    refused('listen: [{address: "127.0.0.1:25", role: submission}]\n', (1, 11, "starttls or implicit"))
    refused('submission: {max_messages: 100/m}\n', (1, 28, "100/h"))
    refused("sites: {x: {connections: 3}}\n", (1, 9, "matches nothing"))
    refused("sites: {default: {connections: 0}}\n", (1, 32, "connections"))
    refused('routes: [{domain: a.example, to: "http://x"}]\n', (1, 35, "smtp://"))
    refused("routes: [{domain: b.example}]\n", (1, 11, "needs domain and to"))
    refused("routes: 5\n", (1, 1, "must be a list"))
    refused("limits: 5\n", (1, 1, "keys of its own"))
    refused("tls: {certificate: c.pem}\n", (1, 1, "belong together"))


def test_no_escape_sequence_reaches_the_terminal():
    text = refused('hostname: "\\e[31mx"\n', (1, 12, "host name"))
    expect("\033" not in text, repr(text))


def test_a_readable_password_is_warned_of():
    route = 'routes: [{domain: a.example, to: "smtps://h.example", user: u, password: secret}]\n'
    expect("warning" in accepted(route, 0o644) and "warning" not in accepted(route), "the warning")


def test_a_password_file_is_beside_the_configuration():
    with Folder('routes: [{domain: a.example, to: "smtps://h.example", user: u, password_file: pw}]\n', 0o644) as folder:
        missing = run(CHECKS[1](folder.path))
        expect(missing.returncode == 78 and "password" in missing.stderr, missing.stderr)
        folder.add("pw", "secret\n")
        done = run(CHECKS[1](folder.path))
        expect(done.returncode == 0 and done.stderr == "", done.stderr)
        shown = run([program("mailrace"), "-c", folder.path, "config"]).stdout
        expect("h.example" in shown and "secret" not in shown, shown)


def test_a_missing_file_is_named():
    for check in CHECKS:
        done = run(check("/nonexistent/x.yaml"))
        expect(done.returncode == 78 and "/nonexistent/x.yaml: No such file" in done.stderr, done.stderr)


def test_config_shows_what_is_in_force():
    with Folder("hostname: mail.example.org\nlimits: {message_size: 20M}\n") as folder:
        tool = [program("mailrace"), "-c", folder.path, "config"]
        changed = run(tool + ["--changed"]).stdout
        expect("limits.message_size: 20M" in changed and "limits.memory" not in changed, changed)
        expect("limits.memory: 1G" in run(tool).stdout, "a default")
        rows = [json.loads(line) for line in run(tool + ["--json"]).stdout.splitlines()]
        expect({"key": "limits.message_size", "value": "20M"} in rows, rows)


def test_the_schema_is_json_and_knows_the_keys():
    schema = json.loads(run([program("mailrace"), "config", "--schema"]).stdout)
    expect("message_size" in schema["properties"]["limits"]["properties"], schema)
    expect("connect" in schema["properties"]["delivery"]["properties"]["timeouts"]["properties"], schema)


def test_usage():
    tool = program("mailrace")
    expect(run([tool]).returncode == 64, "no command")
    typo = run([tool, "quueue"])
    expect(typo.returncode == 64 and "'queue'" in typo.stderr, typo.stderr)
    for arguments in (["--help"], ["queue", "--help"], ["version"]):
        done = run([tool] + arguments)
        expect(done.returncode == 0 and "mailrace" in done.stdout, (arguments, done))


if __name__ == "__main__":
    main(globals())
