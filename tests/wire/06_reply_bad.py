# SPDX-License-Identifier: Apache-2.0
"""Replies that break the protocol before anything could be passed on: a read is run again on the primary."""
import struct

import peer
from lab import retried, sends
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
    "track_bad_inner": peer.packet(OK_BODY + lenenc(4) + b"\x00\x02\xfe\x01", 1),
    "err_cut": peer.packet(b"\xff", 1),
    "first_eof": peer.packet(b"\xfe\x00\x00\x02\x00", 1),
}


def run(lab):
    for name, data in REPLIES.items():
        lab.wait_ready()
        retried(lab, name, sends(data))
