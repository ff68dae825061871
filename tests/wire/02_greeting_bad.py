# SPDX-License-Identifier: Apache-2.0
"""A replica that answers a session's login with anything but a greeting: the read comes from the primary."""
import peer
from lab import is_right

FIRST_WORDS = {
    "garbage": [("send", b"HTTP/1.1 400 Bad Request\r\n\r\n")],
    "protocol 9": [("send", peer.packet(b"\x09" + b"3.20\0" + bytes(30)))],
    "1040": [("send", peer.err(1040, "Too many connections", None, seq=0))],
    "1129": [("send", peer.err(1129, "Host is blocked", None, seq=0))],
    "1040 with state": [("send", peer.err(1040, "Too many connections", "08004", seq=0))],
    "closed at once": [("close",)],
    "reset at once": [("reset",)],
    "half a greeting": [("send", peer.greeting()[:40]), ("close",)],
    "greeting, then gone": [("send", peer.greeting()), ("close",)],
    "no end of the version": [("send", peer.packet(b"\x0a" + b"x" * 4000))],
    "giant greeting": [("send", b"\xff\xff\xff\x00\x0a")],
    "no session track": [("send", peer.greeting(caps=peer.SERVER_CAPS & ~0x800000))],
    "ok in place of a greeting": [("send", peer.ok(seq=0))],
    "wrong sequence id": [("send", peer.greeting()[:3] + b"\x05" + peer.greeting()[4:])],
}


def run(lab):
    for name, script in FIRST_WORDS.items():
        lab.wait_ready()
        lab.replica.leave()  # a connection that is there already would be used
        lab.replica.greeted = 0
        lab.replica.greet = list(script)
        with lab.session() as c:
            is_right(c, name)
            assert lab.replica.greeted >= 1, f"{name}: the replica was not tried"
            lab.replica.greet = None
            is_right(c, "after")
