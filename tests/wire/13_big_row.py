# SPDX-License-Identifier: Apache-2.0
"""A row of 17 MiB, which is two frames, in pieces of any size: the client has every byte."""
import peer
from lab import READ, rows

VALUE = bytes(range(1, 251)) * (17 * 4195)


def answer(link, _payload):
    link.front.send(peer.text_result(["v"], [[VALUE], ["last"]]), pieces=1048573)


def run(lab):
    lab.wait_ready()
    with lab.session(timeout=30) as c:
        lab.replica.trap(b"big", answer)
        found = rows(c, c.query(READ.format("big")))
        assert len(VALUE) > 1 << 24 and found == [[VALUE], [b"last"]], [len(x[0]) for x in found]
