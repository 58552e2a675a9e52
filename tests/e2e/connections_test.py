# SPDX-License-Identifier: MIT
"""How many connections a site gets, and what each finds when it begins: counted by the receivers."""
from rig import Rig, expect, main, wait_for


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


if __name__ == "__main__":
    main(globals())
