# SPDX-License-Identifier: Apache-2.0
"""ERR with and without SQLSTATE, of any length, as the answer to a write: the client's code is the server's."""
import peer
from lab import error, is_right

FORMS = {
    "with state": (peer.err(1062, "Duplicate", "23000"), 1062),
    "without state": (peer.err(1062, "Duplicate", None), 1062),
    "no text": (peer.err(1205, "", "HY000"), 1205),
    "long text": (peer.err(1105, "x" * 5000, "HY000"), 1105),
    "only a code": (peer.packet(b"\xff\x51\x04", 1), 1105),
}


def run(lab):
    for name, (data, code) in FORMS.items():
        with lab.session() as c:
            is_right(c)
            lab.primary.trap(b"forms", lambda link, p, d=data: link.front.send(d))
            found = error(c.query("UPDATE wire SET v = 'one' WHERE id = 1 /* forms */"))
            assert found[0] == code, f"{name}: {found}"
            is_right(c, "after")
