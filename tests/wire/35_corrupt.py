# SPDX-License-Identifier: Apache-2.0
"""Flipped bytes in what the replica says: weir lives, other sessions have right answers, nothing hangs for good."""
import rawclient
from lab import is_right, one, through_fault


def run(lab):
    for at in range(0, 120, 3):
        with through_fault(lab.replica) as fault:
            try:
                with lab.session(timeout=2) as c:
                    is_right(c, "before")
                    fault.add("flip", "corrupt", "down", at=at, every=0, xor=1 + at * 7 % 255)
                    one(c, "flipped")
            except (OSError, rawclient.Gone, IndexError, ValueError):
                pass  # a client may be told nonsense: no checksum guards the protocol
            assert lab.is_alive(), f"weir has ended at {at}"
        with lab.session() as c:
            is_right(c, f"behind {at}")
