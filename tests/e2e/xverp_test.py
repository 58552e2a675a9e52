# SPDX-License-Identifier: MIT
"""XVERP: handed over once, sent to each with a return path of his own (Postfix, VERP_README)."""
import email
from rig import Rig, expect, main, wait_for

WORLD = "domain a.example store\ndomain b.example store\ndomain lists.example store\n"
SENDER = "race-bounces@lists.example"


def letters(rig, domain):
    """{recipient: return path} of what a domain has got; each letter is for one."""
    paths = {}
    for row in rig.internet.ask("messages %s" % domain):
        expect(len(row["rcpts"]) == 1, "a letter for several: %s" % row["rcpts"])
        rcpt = row["rcpts"][0]["address"]
        expect(rcpt not in paths, "%s got two" % rcpt)
        paths[rcpt] = row["from"]
    return paths


def verp(rcpt, first="+", second="=", sender=SENDER):
    local, _, host = sender.partition("@")
    user, _, domain = rcpt.partition("@")
    return "%s%s%s%s%s@%s" % (local, first, user, second, domain, host)


def test_each_recipient_has_a_return_path():
    with Rig(WORLD) as rig:
        good = ["user%d@%s" % (i, domain) for i in range(5) for domain in ("a.example", "b.example")]
        bad = ["unknown-1@a.example", "unknown-2@b.example"]
        rig.send(SENDER, good + bad, options=["XVERP"])
        rig.wait_empty()
        got = dict(letters(rig, "a.example"), **letters(rig, "b.example"))
        expect(got == {rcpt: verp(rcpt) for rcpt in good}, got)
        for event in rig.events("delivered", "failed"):
            if event["to"] in good + bad:
                expect(event["from"] == verp(event["to"]), event)

        # a report for each, to exactly that address
        wait_for(lambda: len(rig.internet.ask("messages lists.example")) == 2, "two reports")
        for row in rig.internet.ask("messages lists.example"):
            report = email.message_from_string(row["raw"])
            blocks = report.get_payload()[1].get_payload()
            expect(len(blocks) == 2, "one recipient: %s" % report.as_string())
            rcpt = blocks[1]["Final-Recipient"].split(";")[1].strip()
            expect(rcpt in bad, rcpt)
            expect(row["from"] == "" and report["To"] == verp(rcpt), "%s %s" % (row["from"], report["To"]))
        expect(sorted(row["to"] for row in rig.events("reported")) == sorted(verp(rcpt) for rcpt in bad), "events")
        expect(rig.status()["kept_senders"] == 0, rig.status())
        rig.expect_no_violation()


def test_the_client_chooses_the_delimiters():
    with Rig(WORLD) as rig:
        with rig.smtp() as s:
            s.ehlo()
            expect(s.has_extn("xverp"), s.esmtp_features)
        rig.send(SENDER, ["user@a.example"], options=["XVERP=-="])
        rig.wait_empty()
        expect(letters(rig, "a.example") == {"user@a.example": "race-bounces-user=a.example@lists.example"},
               letters(rig, "a.example"))


def test_what_could_not_be_read_back_keeps_the_sender_and_is_counted():
    with Rig(WORLD) as rig:
        long = "a-recipient-with-a-name-that-is-much-too-long-for-this@a.example"
        odd = "left=right@a.example"
        rig.send(SENDER, [long, odd, "user@a.example"], options=["XVERP"])
        rig.wait_empty()
        expect(letters(rig, "a.example") == {long: SENDER, odd: SENDER, "user@a.example": verp("user@a.example")},
               letters(rig, "a.example"))
        expect(rig.status()["kept_senders"] == 2, rig.status())
        expect("2 times no return path" in rig.mailrace("status").stdout, rig.mailrace("status").stdout)


def test_one_post_in_many_transactions_is_one_message():
    with Rig(WORLD) as rig:
        everybody = ["user%d@a.example" % i for i in range(30)]
        data = ("From: %s\r\nDate: Tue, 24 Nov 2026 10:49:27 +0000\r\nMessage-ID: <1@lists.example>\r\n"
                "List-Id: <race.lists.example>\r\n\r\nHello.\r\n" % SENDER).encode()
        with rig.smtp() as s:
            s.ehlo()
            for at in range(0, 30, 10):
                expect(not s.sendmail(SENDER, everybody[at:at + 10], data, ["XVERP"]), "refused")
        rig.wait_empty()
        expect(letters(rig, "a.example") == {rcpt: verp(rcpt) for rcpt in everybody}, "return paths")
        spool = rig.status()["spool"]
        expect(spool["appends"] == 2, spool)


def test_a_restart_changes_nothing():
    with Rig("domain a.example store dead\ndomain lists.example store\n") as rig:
        rcpts = ["user1@a.example", "user2@a.example", "unknown-3@a.example"]
        rig.send(SENDER, rcpts, options=["XVERP=+="])
        wait_for(lambda: len(rig.events("deferred")) >= 1, "a first try")
        rows = rig.queue()
        expect({row["to"]: row["from"] for row in rows} == {rcpt: verp(rcpt) for rcpt in rcpts}, rows)
        shown = rig.mailrace("show", rows[0]["id"]).stdout
        expect("from %s" % verp("user2@a.example") in shown, shown)
        rig.kill()
        rig.internet.ask("set host mx.a.example dead=no")
        rig.start()
        rig.wait_empty()
        expect(letters(rig, "a.example") == {rcpt: verp(rcpt) for rcpt in rcpts[:2]}, letters(rig, "a.example"))
        wait_for(lambda: len(rig.internet.ask("messages lists.example")) == 1, "a report")
        report = email.message_from_string(rig.internet.ask("messages lists.example")[0]["raw"])
        expect(report["To"] == verp("unknown-3@a.example"), report["To"])


def test_malformed_requests_are_refused():
    with Rig(WORLD) as rig:
        with rig.smtp() as s:
            s.ehlo()
            for options, sender in (("XVERP=", SENDER), ("XVERP=+", SENDER), ("XVERP=ab", SENDER),
                                    ("XVERP=+=x", SENDER), ("XVERP", "")):
                code, text = s.mail(sender, [options])
                expect(code == 501, "%s: %s %s" % (options, code, text))


if __name__ == "__main__":
    main(globals())
