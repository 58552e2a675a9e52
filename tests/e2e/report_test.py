# SPDX-License-Identifier: MIT
"""Reports to the sender (RFC 3461-3464): who gets one, what is in it, and who never does."""
import email
from rig import Rig, expect, main, wait_for

WORLD = "domain a.example\ndomain sender.example store\n"


def reports(rig, count=1):
    """The parsed reports that the sender's host holds."""
    wait_for(lambda: len(rig.internet.ask("messages sender.example")) >= count, "%d reports" % count)
    return [email.message_from_string(row["raw"]) for row in rig.internet.ask("messages sender.example")]


def status_part(report):
    expect(report.get_content_type() == "multipart/report", report.get_content_type())
    parts = report.get_payload()
    expect(len(parts) == 3, "%d parts" % len(parts))
    expect(parts[1].get_content_type() == "message/delivery-status", parts[1].get_content_type())
    return parts[1].get_payload()


def test_failures_are_reported_together():
    with Rig(WORLD) as rig:
        rig.send("Owner+x@sender.example", ["unknown-1@a.example", "unknown-2@a.example", "user@a.example"])
        rig.wait_empty()
        report, = reports(rig)
        expect(report["To"] == "Owner+x@sender.example", report["To"])
        expect(report["Auto-Submitted"] == "auto-replied", report.as_string())
        blocks = status_part(report)
        expect(blocks[0]["Reporting-MTA"] == "dns; relay.test", blocks[0])
        expect(blocks[0]["Arrival-Date"], "no Arrival-Date")
        told = {block["Final-Recipient"].split(";")[1].strip(): block for block in blocks[1:]}
        expect(set(told) == {"unknown-1@a.example", "unknown-2@a.example"}, told)
        for block in told.values():
            expect(block["Action"] == "failed" and block["Status"] == "5.1.1", str(block))
            expect(block["Diagnostic-Code"].startswith("smtp; 550"), str(block))
            expect(block["Remote-MTA"] == "dns; mx.a.example", str(block))
        third = report.get_payload()[2]
        expect(third.get_content_type() == "text/rfc822-headers", third.get_content_type())
        expect("Subject: test" in third.as_string() and "Hello." not in third.as_string(), third.as_string())
        expect(len(rig.events("reported")) == 1, "the report is an event too")


def test_the_whole_message_comes_back_when_asked_and_allowed():
    config = "reports: {return: full}"
    with Rig(WORLD, config) as rig:
        rig.send("owner@sender.example", ["unknown-1@a.example"], options=["RET=FULL"])
        third = reports(rig)[0].get_payload()[2]
        expect(third.get_content_type() == "message/rfc822", third.get_content_type())
        expect("Hello." in third.as_string(), third.as_string())


def test_the_null_sender_gets_none():
    with Rig(WORLD) as rig:
        rig.send("", ["unknown-1@a.example"])
        rig.wait_empty()
        expect(rig.ends() == {"unknown-1@a.example": ["failed"]}, rig.ends())
        expect(not rig.events("reported"), "a report to nobody")


def test_notify_never_gets_none():
    with Rig(WORLD) as rig:
        rig.send("owner@sender.example", ["unknown-1@a.example"], rcpt_options=["NOTIFY=NEVER"])
        rig.wait_empty()
        expect(not rig.events("reported"), "a report in spite of NEVER")


def test_envid_and_orcpt_are_in_the_report():
    with Rig(WORLD) as rig:
        rig.send("owner@sender.example", ["unknown-1@a.example"], options=["ENVID=abc+2B1"],
                 rcpt_options=["ORCPT=rfc822;first+2Blast@b.example", "NOTIFY=FAILURE"])
        blocks = status_part(reports(rig)[0])
        expect(blocks[0]["Original-Envelope-Id"] == "abc+1", str(blocks[0]))
        expect(blocks[1]["Original-Recipient"] == "rfc822;first+last@b.example", str(blocks[1]))


def test_success_is_reported_where_the_next_host_does_not():
    with Rig("domain a.example no-dsn\ndomain sender.example store\n") as rig:
        rig.send("owner@sender.example", ["user@a.example"], rcpt_options=["NOTIFY=SUCCESS"])
        blocks = status_part(reports(rig)[0])
        expect(blocks[1]["Action"] == "relayed", str(blocks[1]))


def test_success_over_lmtp_is_the_end_of_the_way():
    rig = Rig("host lmtp.test 127.0.9.9 lmtp no-dsn\ndomain l.example mx=lmtp.test\ndomain sender.example store\n", start=False)
    rig.write_config('routes: [{domain: l.example, to: "lmtp://127.0.9.9:%d"}]' % rig.internet.about["lmtp_port"])
    rig.start()
    with rig:
        rig.send("owner@sender.example", ["user@l.example"], rcpt_options=["NOTIFY=SUCCESS"])
        expect(status_part(reports(rig)[0])[1]["Action"] == "delivered", "relayed?")


def test_success_is_the_next_hosts_duty_where_it_knows_dsn():
    with Rig(WORLD) as rig:
        rig.send("owner@sender.example", ["user@a.example"], rcpt_options=["NOTIFY=SUCCESS"])
        rig.wait_empty()
        expect(not rig.events("reported"), "the next host was to report")


def test_a_delay_is_reported_when_asked():
    config = "reports: {delay: 500ms}"
    with Rig("domain a.example dead\ndomain sender.example store\n", config) as rig:
        rig.send("owner@sender.example", ["user@a.example"], rcpt_options=["NOTIFY=DELAY,FAILURE"])
        blocks = status_part(reports(rig)[0])
        expect(blocks[1]["Action"] == "delayed", str(blocks[1]))
        expect(blocks[1]["Will-Retry-Until"], str(blocks[1]))
        rig.mailrace("cancel", "to=user@a.example")


def test_expiry_is_reported():
    config = "retry: {intervals: [300ms], expire: 1s, jitter: 0%}"
    with Rig("domain a.example dead\ndomain sender.example store\n", config) as rig:
        rig.send("owner@sender.example", ["user@a.example"])
        blocks = status_part(reports(rig)[0])
        expect(blocks[1]["Action"] == "failed" and blocks[1]["Status"] == "4.4.7", str(blocks[1]))
        rig.wait_empty()
        expect(rig.ends()["user@a.example"] == ["expired"], rig.ends())


def test_a_report_that_cannot_be_delivered_ends_there():
    with Rig("domain a.example\ndomain sender.example dns=nxdomain\n") as rig:
        rig.send("owner@sender.example", ["unknown-1@a.example"])
        rig.wait_empty()
        expect(rig.ends() == {"unknown-1@a.example": ["failed"], "owner@sender.example": ["failed"]}, rig.ends())


def test_nothing_of_the_reply_can_forge_a_field():
    scenario = WORLD.replace("domain a.example", 'domain a.example "at-rcpt=550 5.1.1 no|550 5.1.1 \x1b[31mX-Evil: yes"')
    with Rig(scenario) as rig:
        rig.send("owner@sender.example", ["user@a.example"])
        report, = reports(rig)
        expect("X-Evil" not in report and "\x1b" not in report.as_string(), report.as_string())
        expect("\x1b" not in rig.log_text(), "an escape byte in the log")


if __name__ == "__main__":
    main(globals())
