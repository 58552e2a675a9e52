# SPDX-License-Identifier: MIT
"""One mailing through programs built with the thread sanitizer: engine, shards and disk thread at work together."""
import signal
from rig import Rig, expect, main


def test_a_mailing_and_a_reload_without_a_race():
    with Rig("generate 50 hosted=40% mix=greylist:10%\n", start=False) as rig:
        rig.write_config("delivery: {port: %d, allow_loopback: true, threads: 3}" % rig.internet.about["smtp_port"])
        rig.start()
        rcpts = ["user%d@d%d.example" % (i, i % 50) for i in range(600)]
        for i in range(0, len(rcpts), 60):
            rig.send("list@lists.test", rcpts[i:i + 60], message_id=str(i))
            rig.daemon.send_signal(signal.SIGHUP)
        rig.wait_empty(120)
        rig.expect_delivered(rcpts)
        expect("ThreadSanitizer" not in rig.log_text(), rig.log_text()[-4000:])


if __name__ == "__main__":
    main(globals())
