# SPDX-License-Identifier: Apache-2.0
"""A RST in the middle of a query: reads are right all the same, writes have one error and ran at most once."""
import select

import rawclient
from lab import error, is_right, op, through_fault
from weirlab import wait_for


def run(lab):
    with through_fault(lab.replica) as fault, lab.session(timeout=30) as c:
        is_right(c, "before")
        c.send(b"")
        fault.add("rst", "reset_peer", "both", ms=0)
        is_right(c, "mid")
        fault.remove("rst")
    with through_fault(lab.primary) as fault, lab.session(timeout=30) as c:
        assert c.query("INSERT INTO wire_ops (op) VALUES (3300)")[-1][1][0] == 0
        held = lab.metric("weir_failover_held_total")
        fault.add("rst", "reset_peer", "down", ms=0)
        c.send(rawclient.command(rawclient.COM_QUERY, "INSERT INTO wire_ops (op) VALUES (3301)"))
        # the RST may have met an idle connection: then it waits for a new one, which there is not before the end of the fault
        wait_for("an answer, or a write that waits", lambda: select.select([c.sock], [], [], 0)[0] or
                 lab.metric("weir_failover_held_total") > held)
        fault.remove("rst")
        packets = c.reply("query")
        was_ok = packets[-1][1][0] == 0
        if not was_ok:
            assert error(packets) == (1158, "08S01"), error(packets)
        assert c.query("INSERT INTO wire_ops (op) VALUES (3302)")[-1][1][0] == 0
    # an OK was said only for one that ran
    assert op(lab, 3300) == op(lab, 3302) == 1
    assert op(lab, 3301) in ((1,) if was_ok else (0, 1))
