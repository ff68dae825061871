# SPDX-License-Identifier: Apache-2.0
"""An upload of 64 MiB in pieces keeps nobody waiting, and arrives whole."""
from lab import is_right
from rawclient import FULL


def run(lab):
    size = 64 << 20
    body = b"\x03SELECT LENGTH('" + b"x" * size + b"')"
    frames, seq = [], 0
    for at in range(0, len(body) + 1, FULL):
        part = body[at:at + FULL]
        frames.append(len(part).to_bytes(3, "little") + bytes([seq]) + part)
        seq += 1
    data = b"".join(frames)
    limit = int(lab.direct("SELECT @@global.max_allowed_packet")[0][0])
    with lab.session(timeout=60) as slow, lab.session() as other:
        try:
            for at in range(0, len(data), 1 << 20):
                slow.send(data[at:at + (1 << 20)])
                is_right(other, f"beside {at >> 20}")
            packets = slow.reply("query")
            first = packets[0][1]
            if limit < len(body):
                assert first[0] == 0xFF, first[:80]
            else:
                assert packets[-2][1] == b"\x08%d" % size, packets[-2][1]
        except OSError:
            assert limit < len(body)
        is_right(other, "after")
