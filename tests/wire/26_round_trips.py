# SPDX-License-Identifier: Apache-2.0
"""What a statement waits for when sessions share a connection: nothing while their state is equal, nothing ahead of a read, one reply ahead of a write.

One connection to each server. Every command that weir writes to them for sessions is recorded. The reply to a
SET of weir's own is withheld: a read must have followed it all the same, a write must not.
"""
import select
import threading

import poollab
from lab import Lab, is_right
from rawclient import frames_of

QUIET = 0.4  # seconds in which a write would have come that does not wait


class Tape:
    """The commands of sessions at one middle; on_set(link, payload) may deal with weir's own SETs."""

    def __init__(self, middle):
        self.middle, self.said, self.on_set, self.lock = middle, [], None, threading.Lock()
        self.relay, middle._from_weir = middle._from_weir, self.hear

    def hear(self, link, payload):
        if link.user == self.middle.client_user:
            with self.lock:
                self.said.append(payload)
            if self.on_set and payload[:5] == b"\x03SET ":
                then, self.on_set = self.on_set, None
                then(link, payload)
                return
        self.relay(link, payload)

    def take(self):
        with self.lock:
            said, self.said = self.said, []
        return said

    def stop(self):
        del self.middle._from_weir


def begin(rig):
    lab = Lab(rig, pool={"wait": "5s"}, workers=1, read_after_write={"mode": "off"})
    for server in lab.weir.settings["servers"]:
        server["max_connections"] = 1
    return lab


def write(c):
    """Without a number of AUTO_INCREMENT: LAST_INSERT_ID() would be a state of the session's own."""
    p = c.query("UPDATE wire SET v = 'two' WHERE id = 2")[-1][1]
    assert p[:1] == b"\0", f"UPDATE got {p[:100]!r}"


def texts(said):
    return [p[:60] for p in said]


def equal(tape, c, what, statement):
    """The session's statement went out, and nothing else."""
    tape.take()
    statement(c)
    said = tape.take()
    assert len(said) == 1, f"equal state, {what}: {texts(said)}"


def followed(link, payload, seen):
    """The SET goes on only when the command behind it is there."""
    ready = select.select([link.front.sock], [], [], 5)[0] if not link.front.buffer else [1]
    seen.append(bool(ready))
    behind = link.front.read_packet() if ready else None
    for packet in (payload, behind):
        if packet is not None:
            link.back.send(frames_of(packet)[0])


def alone(link, payload, seen):
    """Nothing comes behind the SET until its reply is there."""
    ready = link.front.buffer or select.select([link.front.sock], [], [], QUIET)[0]
    seen.append(not ready)
    link.back.send(frames_of(payload)[0])


def different(tape, watch, c, what, statement):
    seen = []
    tape.take()
    tape.on_set = lambda link, payload: watch(link, payload, seen)
    statement(c)
    tape.on_set = None
    said = tape.take()
    assert seen, f"{what}: no SET ahead of it: {texts(said)}"
    assert seen == [True], f"{what}: {'a reply was waited for' if watch is followed else 'it did not wait'}"
    return said


def run(lab):
    if not poollab.knows_pool():
        return
    with begin(lab.rig) as other:
        tapes = [Tape(m) for m in (other.replica, other.primary)]
        try:
            play(other, *tapes)
        finally:
            for tape in tapes:
                tape.stop()


def play(lab, replica, primary):
    plain, same, strict = lab.session(timeout=10), lab.session(timeout=10), lab.session(timeout=10)
    p = strict.query("SET SESSION sql_mode = 'ANSI', time_zone = '+03:00'")[-1][1]
    assert p[:1] == b"\0", f"SET got {p[:100]!r}"
    for c in (strict, plain, same):  # connections are open, and what is asked once has been asked
        is_right(c, "first")
        write(c)
        is_right(c, "behind a write")
    for _ in range(3):
        for c in (plain, same):
            equal(replica, c, "read", lambda c: is_right(c, "equal"))
            equal(primary, c, "BEGIN", lambda c: c.query("BEGIN"))
            equal(primary, c, "COMMIT", lambda c: c.query("COMMIT"))
        for c in (strict, plain):
            different(replica, followed, c, "a read in another state", lambda c: is_right(c, "different"))
        for c in (strict, same):
            different(primary, alone, c, "a write in another state", write)
            equal(primary, c, "write", write)
    for c in (plain, same, strict):
        c.close()
