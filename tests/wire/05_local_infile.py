# SPDX-License-Identifier: Apache-2.0
"""A server that asks for a file gets none: not a byte of it; one error, and the session ends."""
import peer
import rawclient
from lab import READ, error, is_right

HEARD = []


def asks(link, _payload):
    link.front.send(peer.packet(b"\xfb/etc/passwd", 1))
    HEARD.append(link.front.read_packet())
    raise OSError("the conversation is over")


def run(lab):
    HEARD.clear()
    before = lab.metric("weir_protocol_violations_total")
    for middle, sql in ((lab.replica, READ.format("file")), (lab.primary, "INSERT INTO wire_ops (op) VALUES (501) /* file */")):
        lab.wait_ready()
        with lab.session() as c:
            is_right(c)
            middle.trap(b"file", asks)
            code = error(c.query(sql))
            assert code == (1158, "08S01"), code
            try:
                c.read_packet()
                raise AssertionError("the session went on")
            except rawclient.Gone:
                pass
    with lab.session() as c:
        is_right(c, "after")
    assert len(HEARD) == 2 and not any(HEARD), f"bytes went out: {HEARD}"
    assert lab.metric("weir_protocol_violations_total") == before + 2
