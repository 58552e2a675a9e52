# SPDX-License-Identifier: MIT
"""'mailrace user' works on the users' file, with a server and without one."""
import json
import os
import pty
import re
import subprocess
import tempfile
from rig import expect, main, program


class Office:
    """A folder with a configuration and a users' file that is not there yet."""

    def __init__(self, more=""):
        self.directory = tempfile.TemporaryDirectory(prefix="mailrace-user-")
        self.config = os.path.join(self.directory.name, "mailrace.yaml")
        self.users = os.path.join(self.directory.name, "users")
        with open(self.config, "w") as f:
            f.write("users: users\ncontrol: %s/none.sock\n%s" % (self.directory.name, more))

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.directory.cleanup()

    def user(self, *words, code=0, password=""):
        done = subprocess.run([program("mailrace"), "-c", self.config, "user", *words], input=password, capture_output=True, text=True, timeout=60)
        expect(done.returncode == code, "user %s: %d %s%s" % (" ".join(words), done.returncode, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr

    def text(self):
        with open(self.users) as f:
            return f.read()

    def write(self, text, mode=0o600):
        with open(self.users, "w") as f:
            f.write(text)
        os.chmod(self.users, mode)


def test_a_user_is_added_changed_and_removed():
    with Office() as office:
        office.user("add", "Ann@X.example", "--from", "@lists.example", "--max-messages", "100/h", "--max-messages", "1000/d", password="sesame\n")
        expect(os.stat(office.users).st_mode & 0o777 == 0o600, "open to others")
        expect("sesame" not in office.text(), "the password stands there")
        expect(re.search(r"^ann@x.example password=\$y\$\S+ scram=SCRAM-SHA-256\$65536:\S+ from=@lists.example messages=100/h,1000/d$", office.text(), re.M),
               office.text())
        before = office.text()
        office.user("passwd", "ann@x.example", password="open\n")
        expect(office.text() != before and office.text().split("from=")[1] == before.split("from=")[1], office.text())
        office.user("set", "ANN@x.example", "--max-messages", "none", "--max-recipients", "5/h", "--disable", "--from", "a@y.example", "--from", "*")
        expect(office.text().endswith(" from=a@y.example,* messages=none recipients=5/h disabled\n"), office.text())
        office.user("set", "ann@x.example", "--max-messages", "default", "--max-recipients", "default", "--enable")
        expect(office.text().endswith(" from=a@y.example,*\n"), office.text())
        office.user("remove", "ann@x.example")
        expect("ann" not in office.text() and office.text().startswith(":key "), office.text())


def test_a_generated_password_is_said_once():
    with Office() as office:
        first = office.user("add", "ann@x.example", "--generate")
        expect(re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}\n", first), first)
        expect(office.user("passwd", "ann@x.example", "--generate") != first, "the same again")


def test_notes_and_order_of_the_file_stay():
    with Office() as office:
        office.write("# the office\n\n# who left\n", 0o640)
        office.user("add", "ann@x.example", "--generate")
        office.user("add", "bob@x.example", "--generate")
        office.user("passwd", "ann@x.example", "--generate")
        lines = [line.split(" ")[0] for line in office.text().split("\n")]
        expect(lines == ["#", "", "#", ":key", "ann@x.example", "bob@x.example", ""], office.text())
        expect(os.stat(office.users).st_mode & 0o777 == 0o640, "another mode")


def test_what_cannot_be_is_said():
    with Office() as office:
        for words, code, said in ((["add"], 64, "usage"), (["add", "shop", "--generate"], 64, "--from"), (["paint", "x"], 64, "usage"),
                                  (["add", "ann@x.example", "--from", "nobody", "--generate"], 64, "@domain"),
                                  (["add", "a b@x.example", "--generate"], 64, "space"), (["add", "ann@x.example", "--max-messages", "7", "--generate"], 64, "usage"),
                                  (["remove", "ann@x.example"], 65, "there is no user"), (["add", "ann@x.example", "secret"], 64, "usage"),
                                  (["list", "ann"], 64, "usage"), (["add", "ann@x.example"], 65, "standard input")):
            text = office.user(*words, code=code)
            expect(said in text, "%s: %s" % (words, text))
        office.user("add", "ann@x.example", "--generate")
        expect("there is a user" in office.user("add", "ann@x.example", "--generate", code=65), "twice")
        expect("cannot be used" in office.user("passwd", "ann@x.example", code=65, password="\x07\n"), "a control")
        before = office.text()
        office.write(before, 0o644)
        expect("chmod" in office.user("list", code=77), "open to others")
        office.write(before + "bob pasword=x\n")
        expect(":3: the word 'pasword'" in office.user("set", "ann@x.example", "--disable", code=65), "a broken file")
        expect(office.text() == before + "bob pasword=x\n", "a broken file was changed")


def test_the_list_is_for_people_and_programs():
    with Office("submission: {max_messages: [10/h], max_recipients: 7/d}\n") as office:
        expect(office.user("list") == "" and office.user("list", "--json") == "", "nobody")
        office.user("add", "ann@x.example", "--generate", "--max-messages", "3/h", "--from", "@y.example")
        office.user("add", "bob@x.example", "--generate", "--disable")
        rows = [json.loads(line) for line in office.user("list", "--json").splitlines()]
        expect(rows[0] == {"user": "ann@x.example", "from": ["@y.example"], "disabled": False, "messages": {"hour": 0, "day": 0, "hour_max": 3},
                           "recipients": {"hour": 0, "day": 0, "day_max": 7}}, rows)
        expect(rows[1]["disabled"] and rows[1]["messages"]["hour_max"] == 10, rows)
        text = office.user("list")
        expect(len(text.splitlines()) == 3 and "0/3" in text and "disabled" in text, text)


def on_terminal(office, typed):
    """Runs 'user add' with a terminal, and types."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program("mailrace"), ["mailrace", "-c", office.config, "user", "add", "ann@x.example"])
    seen = b""
    for answer in typed:
        while not seen.endswith(b": "):
            seen += os.read(terminal, 1000)
        seen += b"|"
        os.write(terminal, answer + b"\n")
    try:
        while True:
            piece = os.read(terminal, 1000)
            if not piece:
                break
            seen += piece
    except OSError:
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_a_terminal_does_not_show_the_password():
    with Office() as office:
        code, seen = on_terminal(office, [b"sesame", b"sesam"])
        expect(code == 65 and b"not the same" in seen, (code, seen))
        code, seen = on_terminal(office, [b"sesame", b"sesame"])
        expect(code == 0 and b"sesame" not in seen, (code, seen))
        expect("ann@x.example password=$y$" in office.text(), office.text())


def test_two_editors_do_not_undo_each_other():
    with Office() as office:
        children = [subprocess.Popen([program("mailrace"), "-c", office.config, "user", "add", "u%d@x.example" % n, "--generate"], stdout=subprocess.DEVNULL)
                    for n in range(8)]
        expect([child.wait(120) for child in children] == [0] * 8, "an editor failed")
        expect(len(office.user("list", "--json").splitlines()) == 8, office.text())


if __name__ == "__main__":
    main(globals())
