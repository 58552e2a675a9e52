# SPDX-License-Identifier: MIT
"""How many connections a site gets, and what each finds when it begins: counted by the receivers."""
from rig import Rig, expect, main, wait_for
from round_trips_test import Sink, rig_for


def send_many(rig, count, first=0):
    """So many messages of one recipient, on one connection of ours."""
    with rig.smtp() as s:
        for n in range(first, first + count):
            s.sendmail("list@lists.test", ["user%d@a.example" % n], "X-Mailrace-Id: %d\r\n\r\nHello.\r\n" % n)


def everybody(count):
    return ["user%d@a.example" % n for n in range(count)]


def test_a_first_connection_is_waited_for():
    """What comes while it is dialled and greeted rides behind its first message."""
    with Rig("domain a.example latency=200ms\n") as rig:
        send_many(rig, 2)
        rig.wait_empty()
        rig.expect_delivered(everybody(2))
        host = rig.internet.host("mx.a.example")
        expect(host["connections"] == 1, host)
        rig.expect_no_violation()


def test_a_host_that_does_not_answer_is_not_waited_for():
    """The second message has a connection of its own after a second, and nobody hangs behind the first for long."""
    with Rig("domain a.example at-greeting=silent times=1\n",
             "sites: {default: {connections: 5}}\n") as rig:
        send_many(rig, 2)
        wait_for(lambda: len(rig.receipts()) == 1, "the second message", 10)
        host = rig.internet.host("mx.a.example")
        expect(host["connections"] == 2, host)
        rig.kill()  # it would wait for the first


def test_every_connection_but_the_first_resumes():
    """Tickets come behind the handshake, one connection may begin before another is done, and some show a ticket again."""
    with Rig("domain a.example\n", "sites: {default: {connections: 5, rate: none, messages_per_connection: 3}}") as rig:
        send_many(rig, 60)
        rig.wait_empty()
        rig.expect_delivered(everybody(60))
        host = rig.internet.host("mx.a.example")
        expect(host["connections"] >= 20, host)
        expect(host["tls_resumed"] == host["tls_repeated"] == host["tls"] - 1, host)


def test_a_ticket_that_is_refused_costs_a_handshake_only():
    """The receivers begin anew with other keys: the same mail, in full handshakes once."""
    with Rig("domain a.example\n", "sites: {default: {connections: 1, messages_per_connection: 1}}") as rig:
        send_many(rig, 3)
        rig.wait_empty()
        before = rig.internet.host("mx.a.example")
        rig.internet.ask("set host mx.a.example no-tls13")
        send_many(rig, 3, first=3)
        rig.wait_empty()
        after = rig.internet.host("mx.a.example")
        expect(after["tls"] - before["tls"] == 3, after)
        expect(after["tls_resumed"] - before["tls_resumed"] == 2, after)
        rig.expect_delivered(everybody(6))


def test_a_host_without_pipelining_is_known():
    """The second message waits to hear what the first connection is told, once; then each has its own at once."""
    sink = Sink(offers=("SIZE",), late=0.3)
    sink.open.set()
    with rig_for(sink, site="bdat: true", connections=5) as rig:
        for n in (0, 2):
            send_many(rig, 2, first=n)
            rig.wait_empty()
            wait_for(lambda: len(sink.connections) == n + 2, "the connections to end")
        expect(sink.begun_hellos == [0, 1, 2, 2], sink.begun_hellos)
    sink.close()


def test_a_host_that_loses_its_tls_is_told_once():
    with Rig("domain a.example\n", "sites: {default: {connections: 1, idle: 0s}}") as rig:
        for n in range(4):
            if n == 2:
                rig.internet.ask("set host mx.a.example starttls=no")
            send_many(rig, 1, first=n)
            rig.wait_empty()
        rows = rig.events("tls_lost")
        expect(len(rows) == 1 and rows[0]["mx"] == "mx.a.example", rows)
        expect([row["tls"][:4] for row in rig.events("delivered")] == ["oppo", "oppo", "none", "none"], rig.events("delivered"))


TWO_ADDRESSES = "host mx.test 127.0.9.1,127.0.9.2 blackholes=1\ndomain a.example mx=mx.test\n"


def test_an_address_that_does_not_answer_is_overtaken():
    """Long before its time is over; and the next connection does not go there at all."""
    with Rig(TWO_ADDRESSES, "sites: {default: {connections: 2, idle: 0s}}") as rig:
        for n in range(3):
            send_many(rig, 1, first=n)
            rig.wait_empty()
        status = rig.status()
        expect(status["dials"] == 4 and status["dial_failures"] == 0, status)
        rows = rig.events("delivered")
        expect([row["ip"] for row in rows] == ["127.0.9.2"] * 3 and all(row["attempt"] == 1 for row in rows), rows)
        expect(rig.internet.host("mx.test")["connections"] == 3, rig.internet.host("mx.test"))


def test_without_a_second_place_addresses_take_turns():
    with Rig(TWO_ADDRESSES, start=False) as rig:
        rig.write_config("sites: {default: {connections: 1, idle: 0s}}\n"
                         "delivery: {port: %d, allow_loopback: true, timeouts: {connect: 1s}}" % rig.internet.about["smtp_port"])
        rig.start()
        for n in range(2):
            send_many(rig, 1, first=n)
            rig.wait_empty()
        status = rig.status()
        expect(status["dials"] == 3 and status["dial_failures"] == 1, status)
        rig.expect_delivered(everybody(2))
        expect(rig.internet.host("mx.test")["open_max"] == 1, rig.internet.host("mx.test"))


def test_when_no_address_answers_the_mail_waits():
    with Rig("host mx.test 127.0.9.1,127.0.9.2 blackhole\ndomain a.example mx=mx.test\n", start=False) as rig:
        rig.write_config("delivery: {port: %d, allow_loopback: true, timeouts: {connect: 1s}}\n"
                         "retry: {intervals: [1h], expire: 2h}" % rig.internet.about["smtp_port"])
        rig.start()
        send_many(rig, 1)
        wait_for(lambda: rig.events("deferred"), "the message to be deferred", 20)
        row = rig.events("deferred")[0]
        expect("timed out" in row["text"], row)
        expect(rig.status()["dial_failures"] == 2, rig.status())


if __name__ == "__main__":
    main(globals())
