# SPDX-License-Identifier: Apache-2.0
"""Bytes behind the end of a reply belong to nobody: the client has its reply, and the next one is its own."""
import peer
from lab import is_right
from rawclient import text_rows

EXTRA = {
    "ok": peer.ok(),
    "result": peer.text_result(["v"], [["stolen"]]),
    "one byte": b"\x07",
    "err": peer.err(4031, "inactivity", "HY000", 0),
}


def behind(more):
    def answer(link, payload):
        link.front.send(link.ask(payload) + more)
    return answer


def run(lab):
    for name, more in EXTRA.items():
        with lab.session() as c:
            is_right(c, "before")
            lab.replica.trap(b"extra", behind(more))
            is_right(c, "extra")
            packets = c.query("SELECT v FROM wire WHERE id = 2")
            assert text_rows(packets, c.is_new) == [[b"two"]], f"{name}: {packets}"
