# SPDX-License-Identifier: Apache-2.0
"""Nothing is wrong: reads come from the replica, writes go to the primary, once."""
from lab import is_right, op


def run(lab):
    with lab.session() as c:
        lab.replica.trap(b"asked", lambda link, p: link.front.send(link.ask(p)))
        is_right(c, "asked")
        assert len(lab.replica.seen) == 1, "the read did not go to the replica"
        packets = c.query("INSERT INTO wire_ops (op) VALUES (101)")
        assert packets[-1][1][0] == 0, packets
    assert op(lab, 101) == 1
