# SPDX-License-Identifier: MIT
"""What a message costs on a warm connection, counted by a receiver that sees every turn of the talk: round trips and
writes; and receivers that stumble where one message meets the next: nothing lost, nothing twice, no attempt counted."""
import collections
import socket
import threading
import time

from rig import Rig, expect, main, wait_for

LATE = 0.02  # every group of replies comes so late: whoever waits for it, waits in vain to be quick


class Sink:
    """A receiver with one thread a connection.  'manner' may change what it does where messages meet."""

    def __init__(self, manner=None, offers=("PIPELINING", "CHUNKING"), messages_max=0, banner="sink ESMTP", late=LATE):
        self.manner, self.offers, self.messages_max, self.banner, self.late = manner, offers, messages_max, banner, late
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.socket.getsockname()[1]
        self.open = threading.Event()  # nobody is greeted before
        self.lock = threading.Lock()
        self.got = collections.Counter()  # recipient: messages
        self.connections, self.turns, self.reads, self.messages, self.rsets, self.chunks = [], 0, 0, 0, 0, 0
        self.begun = []  # for each connection: how many messages had been taken before it
        self.hellos, self.begun_hellos = 0, []  # the same, of EHLO
        self.longest = 0  # the turns of the connection that had most, the first and the last too
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=Talk(self, conn).run, daemon=True).start()

    def close(self):
        self.socket.close()


class Hangup(Exception):
    pass


class Talk:
    def __init__(self, sink, conn):
        self.sink, self.conn, self.input, self.output = sink, conn, b"", []
        self.rcpts, self.has_sender, self.messages, self.turns, self.reads, self.all_turns = [], False, 0, 0, 0, 0

    def run(self):
        self.sink.open.wait()
        with self.sink.lock:
            self.sink.begun.append(self.sink.messages)
            self.sink.begun_hellos.append(self.sink.hellos)
        try:
            self.say("220 " + self.sink.banner)
            while True:
                self.command(self.line())
        except (Hangup, OSError):
            pass
        self.conn.close()
        with self.sink.lock:
            self.sink.connections.append(self.messages)
            self.sink.longest = max(self.sink.longest, self.all_turns)

    def say(self, text):
        self.output.append(text.encode() + b"\r\n")

    def more(self):
        """Replies go out when nothing is left to read: that is a turn of the talk."""
        if self.output:
            time.sleep(self.sink.late)
            self.conn.sendall(b"".join(self.output))
            self.output = []
            self.turns += self.messages > 0
            self.all_turns += 1
        piece = self.conn.recv(1 << 20)
        self.reads += self.messages > 0
        if not piece:
            raise Hangup
        self.input += piece

    def line(self):
        while b"\r\n" not in self.input:
            self.more()
        line, self.input = self.input.split(b"\r\n", 1)
        return line.decode()

    def command(self, line):
        verb = line.split(" ")[0].split(":")[0].upper()
        getattr(self, "on_" + verb.lower().split(" ")[0], self.unknown)(line)

    def unknown(self, line):
        self.say("500 what? " + line[:40])

    def on_ehlo(self, line):
        with self.sink.lock:
            self.sink.hellos += 1
        keywords = ["sink"] + list(self.sink.offers)
        for keyword in keywords[:-1]:
            self.say("250-" + keyword)
        self.say("250 " + keywords[-1])

    def on_mail(self, line):
        if self.sink.messages_max and self.messages >= self.sink.messages_max:
            self.say("421 enough")
            self.flush_and_leave()
        if self.has_sender:
            self.say("503 nested MAIL")
            return
        self.has_sender, self.rcpts = True, []
        self.say("250 ok")

    def on_rcpt(self, line):
        if self.has_sender:
            self.rcpts.append(line.split("<")[1].split(">")[0])
        self.say("250 ok" if self.has_sender else "503 MAIL first")

    def on_rset(self, line):
        self.has_sender, self.rcpts = False, []
        with self.sink.lock:
            self.sink.rsets += 1
        self.say("250 ok")

    def on_data(self, line):
        if not self.rcpts:
            self.say("503 RCPT first")
            return
        self.say("354 go")
        while self.line() != ".":
            pass
        self.end()

    def on_bdat(self, line):
        if self.sink.manner == "lacks BDAT":
            self.unknown(line)
            return
        size = int(line.split(" ")[1])
        while len(self.input) < size:
            self.more()
        self.input = self.input[size:]
        if not self.rcpts:
            self.say("503 RCPT first")
            return
        with self.sink.lock:
            self.sink.chunks += 1
        if self.sink.manner == "mute after BDAT":
            self.output = []
            while True:
                self.more()
        self.end()

    def end(self):
        with self.sink.lock:
            self.sink.got.update(self.rcpts)
            self.sink.messages += 1
            if self.messages > 0:
                self.sink.turns += self.turns
                self.sink.reads += self.reads
        self.messages += 1
        self.turns = self.reads = 0
        self.has_sender, self.rcpts = False, []
        self.say("250 taken")
        if self.sink.manner == "drops what is behind":
            self.input = b""
        elif self.sink.manner == "closes after each":
            self.flush_and_leave()

    def on_quit(self, line):
        self.say("221 bye")
        self.flush_and_leave()

    def flush_and_leave(self):
        self.conn.sendall(b"".join(self.output))
        raise Hangup


def rig_for(sink, site="bdat: false", per_connection=1000, connections=1):
    return Rig(config="routes: [{domain: '*', to: 'smtp://127.0.0.1:%d'}]\n"
               "sites: {default: {connections: %d, idle: 1s, rate: none, messages_per_connection: %d, %s}}\n"
               "retry: {intervals: [2s], expire: 1h, jitter: 0%%, in_doubt: 1s}" % (sink.port, connections, per_connection, site))


def run(sink, messages, site="bdat: false", per_connection=1000, seconds=60, size=2000, connections=1):
    """So many messages, which wait until all are there; gives the rig to look at."""
    rig = rig_for(sink, site, per_connection, connections)
    try:
        rcpts = ["user%d@a.example" % n for n in range(messages)]
        with rig.smtp() as s:
            for rcpt in rcpts:
                s.sendmail("list@lists.test", [rcpt], "Subject: x\r\n\r\n" + "a line of text\r\n" * (size // 16))
        sink.open.set()
        rig.wait_empty(seconds)
        expect(sink.got == collections.Counter(rcpts), "not once each: %s" % (sink.got - collections.Counter(rcpts)))
        return rig
    except BaseException as error:
        rig.__exit__(type(error), error, None)
        raise
    finally:
        sink.close()


def no_attempt_was_in_vain(rig):
    expect(not rig.events("deferred", "failed"), "attempts in vain: %s" % rig.events("deferred", "failed")[:3])
    expect(all(row["attempt"] == 1 for row in rig.events("delivered")), "an attempt was counted")


def test_one_round_trip_with_data():
    sink = Sink()
    with run(sink, 200) as rig:
        trips = sink.turns / (sink.messages - 1)
        writes = rig.status()["writes"] / sink.messages
        print("  %.3f round trips, %.3f writes a message" % (trips, writes))
        expect(trips <= 1.1, "%.3f round trips a message" % trips)
        expect(writes <= 1.1, "%.3f writes a message" % writes)
        expect(sink.rsets == 0, "%d RSET" % sink.rsets)
        no_attempt_was_in_vain(rig)


def test_one_round_trip_with_bdat():
    sink = Sink()
    with run(sink, 200, "bdat: true") as rig:
        trips = sink.turns / (sink.messages - 1)
        writes = rig.status()["writes"] / sink.messages
        print("  %.3f round trips, %.3f writes a message" % (trips, writes))
        expect(sink.chunks == 200, "%d chunks" % sink.chunks)
        expect(trips <= 1.01 and writes <= 1.1, "%.3f round trips, %.3f writes a message" % (trips, writes))
        no_attempt_was_in_vain(rig)


def one_by_one(site):
    """Each message comes when the one before is done, to a connection that rests.  What it costs."""
    sink = Sink()
    sink.open.set()
    with rig_for(sink, site) as rig, rig.smtp() as s:
        for n in range(10):
            s.sendmail("list@lists.test", ["user%d@a.example" % n], "Subject: x\r\n\r\nHello.\r\n")
            wait_for(lambda: len(rig.events("delivered")) == n + 1, "the message to be delivered")
        expect(rig.status()["dials"] == 1, rig.status())
    sink.close()
    return sink.turns / (sink.messages - 1)


def test_one_round_trip_on_a_connection_that_rested():
    """With BDAT, which is used where it is offered: DATA has to wait for 354, and there is no body it could ride behind."""
    trips = {site: one_by_one(site) for site in ("bdat: true", "bdat: false")}
    print("  %(bdat: true).3f round trips a message, %(bdat: false).3f with DATA" % trips)
    expect(trips == {"bdat: true": 1, "bdat: false": 2}, trips)


def test_less_than_one_with_a_bdat_window():
    sink = Sink()
    with run(sink, 200, "bdat_window: 4") as rig:
        trips = sink.turns / (sink.messages - 1)
        print("  %.3f round trips, %.3f writes a message" % (trips, rig.status()["writes"] / sink.messages))
        expect(sink.chunks == 200, "%d chunks" % sink.chunks)
        expect(trips <= 0.75, "%.3f round trips a message" % trips)
        no_attempt_was_in_vain(rig)


def ramp(site):
    """Five connections, fifty messages each: what a strict site allows, and a queue that fills it."""
    sink = Sink()
    with run(sink, 250, site, per_connection=50, connections=5) as rig:
        wait_for(lambda: sum(sink.connections) == 250, "the connections to end")
        print("  connections of %s messages, begun behind %s; %d turns at most" % (sink.connections, sink.begun, sink.longest))
        # When the first have had their fifty, the last messages get new ones, rather than wait behind those that are left.
        expect(max(sink.connections) <= 50 and len(sink.connections) <= 5 + 4, sink.connections)
        # A window of two grows by a quarter with each answer: three more connections take twelve answers and what is under way.
        expect(sink.begun[4] <= 30, "the fifth connection began behind %d messages" % sink.begun[4])
        # Greeting, EHLO, the envelope of the first, a turn for each message, QUIT: nothing else.
        expect(sink.longest <= 50 + 5, "%d turns for %d messages" % (sink.longest, max(sink.connections)))
        no_attempt_was_in_vain(rig)


def test_a_strict_site_is_used_as_far_as_it_allows():
    ramp("bdat: false")
    ramp("bdat: true")


def test_the_kill_switch():
    sink = Sink()
    with run(sink, 20, "bdat: false, pipeline_messages: false") as rig:
        expect(sink.turns / (sink.messages - 1) >= 1.9, "still %d turns for %d messages" % (sink.turns, sink.messages))
        no_attempt_was_in_vain(rig)


def test_421_with_an_envelope_in_flight():
    sink = Sink(messages_max=5)
    with run(sink, 40) as rig:
        no_attempt_was_in_vain(rig)
        wait_for(lambda: len(sink.connections) >= 8, "eight connections of five messages")
        expect(max(sink.connections) == 5, sink.connections)
        expect(rig.status()["moves"] >= 5, rig.status())


def test_a_host_that_closes_after_each_message():
    sink = Sink(manner="closes after each")
    with run(sink, 20) as rig:
        no_attempt_was_in_vain(rig)
        expect(rig.status()["stumbles"] == 2, "it is not trusted twice: %s" % rig.status())


def test_a_proxy_that_lacks_the_bdat_it_offers():
    sink = Sink(manner="lacks BDAT")
    with run(sink, 10, "bdat: true") as rig:
        no_attempt_was_in_vain(rig)
        expect(sink.chunks == 0 and rig.status()["stumbles"] == 1, rig.status())


def test_a_host_that_loses_what_is_behind():
    sink = Sink(manner="drops what is behind")
    with run(sink, 3, seconds=80) as rig:  # the third is behind the second, and half a minute later on its own
        no_attempt_was_in_vain(rig)
        expect(rig.status()["stumbles"] == 1 and rig.status()["moves"] == 1, rig.status())


def test_exim_is_left_after_ten():
    sink = Sink(banner="sink ESMTP Exim 4.96")
    with run(sink, 30, per_connection=0):
        wait_for(lambda: len(sink.connections) >= 3, "three connections")
        expect(sorted(sink.connections) == [10, 10, 10], sink.connections)


if __name__ == "__main__":
    main(globals())
