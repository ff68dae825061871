# SPDX-License-Identifier: Apache-2.0
"""The protocol broken behind the first packets of a result: one error or the end, never a made-up row."""
import peer
import rawclient
from lab import RIGHT, is_right, one, sends

WHOLE = peer.text_result(["v"], [["one"]])
HEAD = peer.packet(b"\x01", 1) + peer.column("v", seq=2)
LATER = {
    "row with a wrong id": (HEAD + peer.packet(b"\x03one", 9), "stay"),
    "giant row, then gone": (HEAD + b"\xfe\xff\xff\x03" + b"\x03one", "close"),
    "count, then gone": (peer.packet(b"\x01", 1), "close"),
    "count, then reset": (peer.packet(b"\x01", 1), "reset"),
    "err between columns": (peer.packet(b"\x02", 1) + peer.column("v", seq=2)
                            + peer.err(1317, "interrupted", "70100", 3), "close"),
    "local infile as a row": (HEAD + peer.packet(b"\xfb", 3), "close"),
    "end cut": (HEAD + peer.packet(b"\x03one", 3) + peer.packet(b"\xfe\x00", 4), "close"),
}


def run(lab):
    for name, (data, then) in LATER.items():
        with lab.session() as c:
            is_right(c, "before")
            lab.replica.seen.clear()
            lab.replica.trap(b"later", sends(data, then))
            try:
                got = one(c, "later")
            except rawclient.Gone:
                got = "gone"
            assert lab.replica.seen, f"{name}: the replica was not asked"
            allowed = got in ("gone", RIGHT) or (isinstance(got, tuple) and got[0] in (1158, 1317))
            assert allowed, f"{name}: {got}"
            if got != "gone":
                is_right(c, "after")
        with lab.session() as c:
            is_right(c, "another session")
