# SPDX-License-Identifier: MIT
"""Every way a host can behave, met by the real daemon: who got the mail, how often, and what the log says of it."""
from rig import Rig, expect, main, wait_for


def one(scenario, rcpts=("user@a.example",), config="", seconds=20):
    """One message to the recipients, until nothing waits any more; gives the rig to look at."""
    rig = Rig(scenario, config)
    try:
        rig.send("list@lists.test", list(rcpts))
        rig.wait_empty(seconds)
        return rig
    except BaseException as error:
        rig.__exit__(type(error), error, None)
        raise


def expect_ends(rig, **by_event):
    """expect_ends(rig, delivered=["a@x"], failed=[...]): each recipient ended exactly once, and so."""
    wanted = {rcpt: [event] for event, rcpts in by_event.items() for rcpt in rcpts}
    got = {rcpt: events for rcpt, events in rig.ends().items() if rcpt != "list@lists.test"}  # whom reports go to
    expect(got == wanted, "expected ends %s, got %s" % (wanted, got))


def test_a_plain_host_takes_it():
    with one("domain a.example\n") as rig:
        rig.expect_delivered(["user@a.example"])
        expect_ends(rig, delivered=["user@a.example"])
        row = rig.events("delivered")[0]
        for key in ("id", "from", "to", "site", "mx", "ip", "code", "tls", "attempt", "delay_ms", "size"):
            expect(key in row, "the event lacks %s: %s" % (key, row))
        expect(row["tls"].startswith("opportunistic TLSv1.3"), row)
        rig.expect_no_violation()


def test_greylisting_is_waited_out():
    with one("domain a.example greylist=500ms\n") as rig:
        rig.expect_delivered(["user@a.example"])
        expect(len(rig.events("deferred")) >= 1, "no deferral")


def test_mixed_replies_are_kept_apart():
    rcpts = ["user@a.example", "unknown-1@a.example", "defer-1@a.example", "other@a.example"]
    rig = Rig("domain a.example\n", "retry: {intervals: [500ms], expire: 2s, jitter: 0%}")
    with rig:
        rig.send("list@lists.test", rcpts)
        rig.wait_empty()
        rig.expect_delivered(["user@a.example", "other@a.example"])
        expect_ends(rig, delivered=["user@a.example", "other@a.example"], failed=["unknown-1@a.example"],
                    expired=["defer-1@a.example"])
        codes = {row["to"]: row["code"] for row in rig.events("failed", "deferred") if "code" in row}
        expect(codes["unknown-1@a.example"] == 550 and codes["defer-1@a.example"] // 100 == 4, codes)


def test_no_starttls_goes_in_clear():
    with one("domain a.example starttls=no\n") as rig:
        rig.expect_delivered(["user@a.example"])
        expect(rig.events("delivered")[0]["tls"] == "none", rig.events("delivered"))


def test_broken_starttls_is_retried_in_clear():
    for how in ("garbage", "close"):
        with one("domain a.example starttls=%s\n" % how) as rig:
            rig.expect_delivered(["user@a.example"])
            expect(rig.events("delivered")[0]["tls"] == "none", rig.events("delivered"))
            expect(rig.events("delivered")[0]["attempt"] >= 1, rig.events("delivered"))


def test_refused_starttls_goes_in_clear():
    with one("domain a.example starttls=refuse\n") as rig:
        rig.expect_delivered(["user@a.example"])


def test_required_tls_never_goes_in_clear():
    config = """sites: {default: {tls: required}}
retry: {intervals: [300ms], expire: 1500ms, jitter: 0%}"""
    with one("domain a.example starttls=no\n", config=config) as rig:
        rig.expect_delivered([])
        expect(rig.ends()["user@a.example"] == ["expired"], rig.ends())


def test_hosts_that_lack_extensions():
    for lacks in ("no-pipelining", "no-esmtp", "no-size", "no-8bitmime no-smtputf8 no-dsn no-size", "no-tls13"):
        rcpts = ["user%d@a.example" % i for i in range(5)]
        with one("domain a.example %s\n" % lacks, rcpts) as rig:
            rig.expect_delivered(rcpts)
            rig.expect_no_violation()


def test_421_after_some_messages_costs_nothing():
    rig = Rig("domain a.example messages=2\n", "sites: {default: {connections: 2}}")
    with rig:
        for i in range(9):
            rig.send("list@lists.test", ["user%d@a.example" % i], message_id=str(i))
        rig.wait_empty()
        rig.expect_delivered(["user%d@a.example" % i for i in range(9)])


def test_a_connection_limit_is_learned():
    rig = Rig("domain a.example connections=2 latency=20ms\n", "sites: {default: {connections: 10}}")
    with rig:
        for i in range(30):
            rig.send("list@lists.test", ["user%d@a.example" % i], message_id=str(i))
        rig.wait_empty(60)
        rig.expect_delivered(["user%d@a.example" % i for i in range(30)])


def test_our_connection_limit_is_kept():
    rig = Rig("domain a.example latency=20ms\n", "sites: {default: {connections: 3}}")
    with rig:
        for i in range(30):
            rig.send("list@lists.test", ["user%d@a.example" % i], message_id=str(i))
        rig.wait_empty(60)
        expect(rig.internet.host("mx.a.example")["open_max"] <= 3, rig.internet.host("mx.a.example"))


def test_rcpt_limit_makes_a_second_transaction_at_once():
    rcpts = ["user%d@a.example" % i for i in range(10)]
    with one("domain a.example rcpts=4\n", rcpts) as rig:
        rig.expect_delivered(rcpts)
        expect(not rig.events("deferred"), "452 after some recipients is no deferral")


def test_a_tarpit_is_borne():
    with one("domain a.example tarpit=100ms\n") as rig:
        rig.expect_delivered(["user@a.example"])


def test_a_drop_before_the_dot_is_tried_again():
    with one("domain a.example at-body=drop times=1\n") as rig:
        rig.expect_delivered(["user@a.example"])


def test_a_drop_after_the_dot_is_in_doubt_and_said():
    with one("domain a.example at-dot=drop times=1\n") as rig:
        rig.expect_delivered(["user@a.example"])
        expect(len(rig.events("duplicate_possible")) == 1, "in doubt must be visible")


def test_a_kept_message_after_a_drop_is_a_counted_duplicate():
    with one("domain a.example at-dot=drop-kept times=1\n") as rig:
        rig.expect_delivered(["user@a.example"], times=2)
        expect(len(rig.events("duplicate_possible")) == 1, "in doubt must be visible")


def test_errors_at_each_stage():
    for stage in ("greeting", "ehlo", "mail", "rcpt", "data", "dot"):
        with one('domain a.example "at-%s=451 4.3.0 later" times=1\n' % stage) as rig:
            rig.expect_delivered(["user@a.example"])


def test_permanent_errors_at_each_stage():
    for stage in ("mail", "rcpt", "data", "dot", "greeting"):
        with one('domain a.example "at-%s=554 5.7.1 not you"\n' % stage) as rig:
            rig.expect_delivered([])
            expect(rig.ends()["user@a.example"] == ["failed"], "%s: %s" % (stage, rig.ends()))


def test_nonsense_is_survived():
    for what in ("at-greeting=garbage", "at-ehlo=huge", "at-mail=garbage", "at-rcpt=twice", "at-dot=huge"):
        with one("domain a.example %s times=1\n" % what) as rig:
            expect(rig.receipts().get("user@a.example", 0) >= 1, "%s: %s" % (what, rig.receipts()))


def test_silence_runs_into_the_timers():
    config = """delivery: {port: %(port)d, allow_loopback: true, timeouts: {greeting: 500ms, command: 500ms, data: 500ms, end_of_data: 500ms}}"""
    for stage in ("greeting", "mail", "data", "dot"):
        rig = Rig("domain a.example at-%s=silent times=1\n" % stage, start=False)
        rig.write_config(config % {"port": rig.internet.about["smtp_port"]})
        rig.start()
        with rig:
            rig.send("list@lists.test", ["user@a.example"])
            rig.wait_empty()
            rig.expect_delivered(["user@a.example"])


def test_the_second_mx_is_taken():
    scenario = """host mx1.a.example 127.0.9.1 dead
host mx2.a.example 127.0.9.2
domain a.example mx=10:mx1.a.example,20:mx2.a.example
"""
    with one(scenario) as rig:
        rig.expect_delivered(["user@a.example"])
        expect(rig.events("delivered")[0]["mx"] == "mx2.a.example", rig.events("delivered"))


def test_a_busy_first_mx_gives_way():
    scenario = """host mx1.a.example 127.0.9.1 "at-greeting=421 4.3.2 busy"
host mx2.a.example 127.0.9.2
domain a.example mx=10:mx1.a.example,20:mx2.a.example
"""
    with one(scenario) as rig:
        rig.expect_delivered(["user@a.example"])


def test_a_dead_site_backs_off_as_one_and_recovers():
    rig = Rig("domain a.example dead\n", "retry: {intervals: [700ms], expire: 1h, jitter: 0%}")
    with rig:
        for i in range(20):
            rig.send("list@lists.test", ["user%d@a.example" % i], message_id=str(i))
        wait_for(lambda: rig.events("site_backoff"), "the site to back off")
        rig.internet.ask("set host mx.a.example dead=no")
        rig.wait_empty()
        rig.expect_delivered(["user%d@a.example" % i for i in range(20)])
        expect(rig.events("site_recovered"), "no recovery was said")


def test_dns_answers_have_their_consequences():
    fails = {"nxdomain": "5.1.2", "null-mx": "5.1.10", "nodata": "5.4.4"}
    for mode, code in fails.items():
        with one("domain a.example dns=%s\n" % mode) as rig:
            row = [row for row in rig.events("failed") if row["to"] == "user@a.example"][0]
            expect(row["enhanced"] == code, "%s: %s" % (mode, row))
    for mode in ("implicit", "truncate"):
        with one("domain a.example dns=%s\n" % mode) as rig:
            rig.expect_delivered(["user@a.example"])
    for mode in ("servfail", "timeout", "garbage", "refused"):
        rig = Rig("domain a.example dns=%s\n" % mode)
        with rig:
            rig.send("list@lists.test", ["user@a.example"])
            row = wait_for(lambda: rig.events("deferred"), "%s to defer" % mode)[0]
            expect(row["enhanced"].startswith("4.4."), row)
            rig.mailrace("cancel", "to=user@a.example")


def test_an_mx_at_this_machine_is_refused():
    rig = Rig("domain a.example\n", start=False)
    rig.write_config("delivery: {port: %d, allow_loopback: false}" % rig.internet.about["smtp_port"])
    rig.start()
    with rig:
        rig.send("list@lists.test", ["user@a.example"])
        rig.wait_empty()
        rig.expect_delivered([])
        expect("user@a.example" in rig.ends() and rig.ends()["user@a.example"] == ["failed"], rig.ends())


def test_lmtp_keeps_a_reply_per_recipient():
    rig = Rig("host lmtp.test 127.0.9.9 lmtp\ndomain l.example mx=lmtp.test\n", start=False)
    rig.write_config('routes: [{domain: l.example, to: "lmtp://127.0.9.9:%d"}]' % rig.internet.about["lmtp_port"])
    rig.start()
    with rig:
        rcpts = ["user1@l.example", "unknown-1@l.example", "user2@l.example"]
        rig.send("list@lists.test", rcpts)
        rig.wait_empty()
        expect_ends(rig, delivered=["user1@l.example", "user2@l.example"], failed=["unknown-1@l.example"])


def test_a_smarthost_with_auth():
    rig = Rig("host smart.test 127.0.9.8 relay auth=me:secret\ndomain a.example\n", start=False)
    rig.write_config('routes: [{domain: "*", to: "smtp://127.0.9.8:%d", user: me, password: secret}]' % rig.internet.about["smtp_port"])
    rig.start()
    with rig:
        rig.send("list@lists.test", ["user@a.example"])
        rig.wait_empty()
        rig.expect_delivered(["user@a.example"])


def test_size_is_obeyed_before_sending():
    rig = Rig("domain a.example size=1000\n")
    with rig:
        rig.send("list@lists.test", ["user@a.example"], body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 30)
        rig.wait_empty()
        row = [row for row in rig.events("failed") if row["to"] == "user@a.example"][0]
        expect(row["enhanced"] == "5.3.4", row)


def test_connections_are_reused_and_sessions_resumed():
    rig = Rig("domain a.example\n", "sites: {default: {connections: 1, messages_per_connection: 5}}")
    with rig:
        for i in range(20):
            rig.send("list@lists.test", ["user%d@a.example" % i], message_id=str(i))
        rig.wait_empty()
        host = rig.internet.host("mx.a.example")
        expect(host["connections"] == 4, host)
        expect(host["tls_resumed"] == 3, host)
        rig.expect_no_violation()


def test_hidden_bytes_arrive_as_they_were():
    body = "\r\n".join([".", "..", ".dot", "", "plain", ".", "tail"]) + "\r\n"
    rig = Rig("domain a.example store\n")
    with rig:
        rig.send("list@lists.test", ["user@a.example"], body=body)
        rig.wait_empty()
        raw = rig.internet.ask("messages a.example")[0]["raw"]
        expect(raw.endswith("\r\n\r\n" + body), raw[-200:])


if __name__ == "__main__":
    main(globals())
