# SPDX-License-Identifier: Apache-2.0
"""Bytes on a connection that owes nothing are nobody's reply: dropped with it, and the next statement works."""
import peer
from lab import RIGHT, is_right, one

WORDS = {
    "4031": (peer.err(4031, "The client was disconnected by the server because of inactivity.", "HY000", 0), True),
    "1927": (peer.err(1927, "Connection was killed", "70100", 1), True),
    "1053": (peer.err(1053, "Server shutdown in progress", "08S01", 1), True),
    "stray byte": (b"\0", False),
    "an ok": (peer.ok(), False),
    "a whole result": (peer.text_result(["v"], [["stolen"]]), False),
}


def run(lab):
    for name, (data, close) in WORDS.items():
        lab.wait_ready()
        with lab.session() as c:
            is_right(c, "before")
            found = lab.replica.say(data, close)
            assert found, f"{name}: no connection"  # several when one has been lent and another was opened
            # both at once: the statement may meet the words before weir has read them
            got = one(c, name)
            assert got == RIGHT, f"{name}: {got}"
            assert all(link.done.wait(5) for link in found), f"{name}: a connection was kept"
            is_right(c, "after")
    in_transaction(lab)


def in_transaction(lab):
    with lab.session() as c:
        c.query("START TRANSACTION")
        c.query("INSERT INTO wire_ops (op) VALUES (401)")
        for link in lab.primary.say(peer.err(1927, "Connection was killed", "70100", 1), True):
            assert link.done.wait(5)
        packets = c.query("INSERT INTO wire_ops (op) VALUES (402)")
        code = peer.struct.unpack_from("<H", packets[-1][1], 1)[0] if packets[-1][1][0] == 0xFF else 0
        assert code == 1213, f"{code}: {packets[-1][1][:80]!r}"
        is_right(c, "after")
    assert lab.direct("SELECT COUNT(*) FROM wire_ops WHERE op IN (401, 402)")[0][0] == 0
