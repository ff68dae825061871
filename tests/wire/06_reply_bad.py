# SPDX-License-Identifier: Apache-2.0
"""Replies that break the protocol before anything could be passed on: a read is run again on the primary."""
import struct

import peer
from lab import is_right, retried, rows, sends
from rawclient import lenenc

OK_BODY = b"\x00\x00\x00" + struct.pack("<HH", 2 | 0x4000, 0) + b"\x00"
REPLIES = {
    "wrong_id": peer.ok(seq=7),
    "wrong_id_result": peer.text_result(["v"], [["x"]], seq=3),
    "count_overflow": peer.packet(b"\xfe" + b"\xff" * 8, 1),
    "count_too_many": peer.packet(lenenc(1 << 20), 1),
    "count_extra": peer.packet(b"\x01\x00\x00\x00\x00\x00", 1),
    "empty_packet": peer.packet(b"", 1),
    "ok_short": peer.packet(b"\x00", 1),
    "ok_lenenc_cut": peer.packet(b"\x00\xfc\x01", 1),
    "track_overlong": peer.packet(OK_BODY + b"\x05\x01\xff", 1),
    "err_cut": peer.packet(b"\xff", 1),
    "first_eof": peer.packet(b"\xfe\x00\x00\x02\x00", 1),
}


def run(lab):
    for name, data in REPLIES.items():
        lab.wait_ready()
        retried(lab, name, sends(data))
    broken_entry(lab)


def broken_entry(lab):
    """An OK that is whole but for an entry of its state: the client has the OK, and its state is as it was."""
    data = peer.packet(OK_BODY + lenenc(4) + b"\x00\x02\xfe\x01", 1)
    with lab.session() as c:
        c.query("SET time_zone = '+03:00'")
        lab.primary.trap(b"entry", sends(data))
        assert c.query("UPDATE wire SET f = f WHERE id = 99 /* entry */")[-1][1][0] == 0
        is_right(c, "after")
        assert rows(c, c.query("SELECT @@time_zone, DATABASE()")) == [[b"+03:00", b"test"]]
