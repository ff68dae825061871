# SPDX-License-Identifier: Apache-2.0
"""A RST in the middle of a query: reads are right all the same, writes have one error and ran at most once."""
from lab import error, is_right, op, through_fault


def run(lab):
    with through_fault(lab.replica) as fault, lab.session() as c:
        is_right(c, "before")
        c.send(b"")
        fault.add("rst", "reset_peer", "both", ms=0)
        is_right(c, "mid")
        fault.remove("rst")
    with through_fault(lab.primary) as fault, lab.session() as c:
        assert c.query("INSERT INTO wire_ops (op) VALUES (3300)")[-1][1][0] == 0
        fault.add("rst", "reset_peer", "down", ms=0)
        packets = c.query("INSERT INTO wire_ops (op) VALUES (3301)")
        was_ok = packets[-1][1][0] == 0
        if not was_ok:
            assert error(packets) == (1158, "08S01"), error(packets)
        fault.remove("rst")
        assert c.query("INSERT INTO wire_ops (op) VALUES (3302)")[-1][1][0] == 0
    # an OK was said only for one that ran; the RST may have met an idle connection, then it ran once on a new one
    assert op(lab, 3300) == op(lab, 3302) == 1
    assert op(lab, 3301) in ((1,) if was_ok else (0, 1))
