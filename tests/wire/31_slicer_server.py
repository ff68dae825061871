# SPDX-License-Identifier: Apache-2.0
"""One byte at a time between weir and its servers: the same replies, byte by byte."""
import statements
from lab import through_fault
from rawclient import DEPRECATE_EOF


def run(lab):
    for drop in (0, DEPRECATE_EOF):
        with lab.session(drop=drop) as c:
            wanted = statements.play(c)
        with through_fault(lab.replica) as one, through_fault(lab.primary) as two:
            for fault in (one, two):
                fault.add("slices", "slicer", "both", size=1, vary=0, us=0)
            with lab.session(drop=drop, timeout=60) as c:
                found = statements.differences(wanted, statements.play(c))
            assert one.stats()["accepted"] and two.stats()["accepted"], "nothing went through the faults"
        assert not found, f"{len(found)}: {found[:2]}"
