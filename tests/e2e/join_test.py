# SPDX-License-Identifier: MIT
"""A post in many transactions is one message: its body is written once, and it goes out as if it had come in one."""
import threading
from rig import Failure, Rig, expect, main, wait_for

LIMITS = "limits: {min_free_space: 1M, join: 2s}\n"
PAGE = 4096  # what a sync of one transaction is padded to


def content(number=1, body_bytes=100 << 10, extra=""):
    line = "All work and no play makes a dull list, said number %d of them, and so on.\r\n" % number
    body = (line * (body_bytes // len(line) + 1))[:body_bytes - 2] + "\r\n"
    return ("From: list@lists.test\r\nSubject: post\r\nX-Mailrace-Id: %d\r\nDate: Tue, 24 Nov 2026 10:49:27 +0000\r\n"
            "Message-ID: <%d@lists.test>\r\nList-Id: <race.lists.test>\r\n%s\r\n%s" % (number, number, extra, body)).encode()


class Hand:
    """Hands a post over as a list manager does: one connection, one transaction after the other."""

    def __init__(self, rig, data, sender="list-bounces@lists.test", options=()):
        self.smtp, self.data, self.sender, self.options = rig.smtp(), data, sender, list(options)
        self.taken = []

    def transaction(self, rcpts):
        code, text = self.smtp.mail(self.sender, self.options)
        expect(code == 250, "MAIL: %s" % text)
        for rcpt in rcpts:
            code, text = self.smtp.rcpt(rcpt)
            expect(code == 250, "RCPT: %s" % text)
        code, text = self.smtp.data(self.data)
        expect(code == 250, "DATA: %s" % text)
        self.taken += rcpts
        return text.decode().split()[-1]

    def all(self, rcpts, at_once=10):
        self.smtp.ehlo()
        ids = [self.transaction(rcpts[i:i + at_once]) for i in range(0, len(rcpts), at_once)]
        self.smtp.quit()
        return ids


def test_a_post_of_a_thousand_transactions_is_written_once():
    rig = Rig("generate 100\n", LIMITS)
    with rig:
        rcpts = ["user%d@d%d.example" % (i, i % 100) for i in range(10000)]
        data = content()
        before = rig.status()["spool"]
        ids = Hand(rig, data).all(rcpts)
        expect(len(set(ids)) == 1, "%d messages" % len(set(ids)))
        spool = rig.status()["spool"]
        expect(spool["commits"] - before["commits"] == 1 and spool["appends"] == 999, "%s" % spool)
        rig.wait_empty(60)
        written = rig.status()["spool"]["bytes_written"] - before["bytes_written"]
        bound = len(data) + 200 * len(rcpts) + PAGE * spool["groups"]
        expect(written < bound, "%d bytes written, at most %d" % (written, bound))
        rig.expect_delivered(rcpts)
        stats = rig.internet.stats()
        print("     %d bytes written, %d transactions to 100 domains" % (written, stats["transactions"]))
        rig.expect_no_violation()
        events = rig.events("accepted")
        expect(len(events) == 1000 and sum(row["rcpts"] for row in events) == 10000, "accepted events")
        expect(len([row for row in events if row.get("joined") is True]) == 999, "joined events")


def test_connections_that_hand_over_at_once_make_one_message():
    rig = Rig("generate 20\n", LIMITS)
    with rig:
        rcpts = ["user%d@d%d.example" % (i, i % 20) for i in range(2000)]
        data = content(body_bytes=4 << 10)
        hands = [threading.Thread(target=Hand(rig, data).all, args=(rcpts[i::8],)) for i in range(8)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        expect(rig.status()["spool"]["commits"] == 1, "%s" % rig.status()["spool"])
        rig.wait_empty(60)
        rig.expect_delivered(rcpts)


def test_when_all_is_quiet_the_message_is_gone():
    rig = Rig("domain a.example\n", LIMITS)
    with rig:
        Hand(rig, content()).all(["user%d@a.example" % i for i in range(30)])
        rig.wait_empty()
        expect(rig.status()["spool"]["bytes_live"] > 0, "it closed at once")
        wait_for(lambda: rig.status()["spool"]["bytes_live"] == 0, "the post to close", 10)


def test_a_stop_closes_what_is_open():
    rig = Rig("domain a.example\n", "limits: {min_free_space: 1M, join: 10m}\n")
    with rig:
        Hand(rig, content()).all(["user%d@a.example" % i for i in range(30)])
        rig.wait_empty()
        expect(rig.stop() == 0, "not a clean end")
        rig.start()
        expect(rig.status()["spool"]["bytes_live"] == 0, "something was left")
        rig.expect_delivered(["user%d@a.example" % i for i in range(30)])


def test_what_differs_does_not_join():
    rig = Rig("domain a.example\n", LIMITS)
    with rig:
        data = content()
        first = Hand(rig, data).all(["a1@a.example"])
        others = [Hand(rig, content(2)), Hand(rig, data[:-2] + b"!\r\n"), Hand(rig, data, sender="other@lists.test"),
                  Hand(rig, data, options=["RET=HDRS"]), Hand(rig, data, options=["ENVID=x"]),
                  Hand(rig, data, options=["BODY=8BITMIME"])]
        ids = [hand.all(["a%d@a.example" % (i + 2)])[0] for i, hand in enumerate(others)]
        expect(len(set(ids + first)) == len(ids) + 1, "%s %s" % (first, ids))
        expect(rig.status()["spool"]["appends"] == 0, "something joined")
        rig.wait_empty()
        rig.expect_delivered(["a%d@a.example" % i for i in range(1, 8)])


def test_the_same_recipient_again_is_delivered_twice():
    rig = Rig("domain a.example\n", LIMITS)
    with rig:
        ids = Hand(rig, content()).all(["a1@a.example", "a2@a.example"])
        again = Hand(rig, content()).all(["a1@a.example", "a2@a.example"])
        expect(ids != again, "it joined")
        rig.wait_empty()
        rig.expect_delivered(["a1@a.example", "a2@a.example"], times=2)


def test_join_0s_makes_each_transaction_a_message():
    rig = Rig("domain a.example\n", "limits: {min_free_space: 1M, join: 0s}\n")
    with rig:
        ids = Hand(rig, content()).all(["a%d@a.example" % i for i in range(30)])
        expect(len(set(ids)) == 3, "%s" % ids)
        rig.wait_empty()


def test_kill_9_in_the_middle_loses_nothing_acknowledged():
    rig = Rig("generate 50 hosted=30%\n", LIMITS)
    with rig:
        rcpts = ["user%d@d%d.example" % (i, i % 50) for i in range(6000)]
        left, taken, kills = list(rcpts), [], 0
        while left:
            hand = Hand(rig, content())
            killer = threading.Timer(0.2 + 0.2 * kills, rig.kill)
            if kills < 4:
                killer.start()
            try:
                hand.all(left)
            except (OSError, Failure):  # smtplib's own are OSErrors
                pass
            if kills < 4:
                killer.join()
                kills += 1
                rig.start()
            taken += hand.taken
            left = left[len(hand.taken):]
        rig.wait_empty(120)
        got = rig.receipts()
        lost = [rcpt for rcpt in taken if rcpt not in got]
        expect(not lost, "%d acknowledged and lost: %s" % (len(lost), lost[:5]))
        twice = sum(1 for count in got.values() if count > 1)
        print("     %d kills, %d of %d delivered twice" % (kills, twice, len(rcpts)))
        expect(twice < len(rcpts) // 4, "%d duplicates" % twice)


if __name__ == "__main__":
    main(globals())
