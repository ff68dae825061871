# SPDX-License-Identifier: Apache-2.0
"""One byte at a time between client and weir: the same replies, byte by byte."""
import rawclient
import statements
from faultproxy import Fault
from rawclient import DEPRECATE_EOF


def run(lab):
    for drop in (0, DEPRECATE_EOF):
        with lab.session(drop=drop) as c:
            wanted = statements.play(c)
        assert len(wanted) > 50
        with Fault(lab.weir.port) as fault:
            fault.add("slices", "slicer", "both", size=1, vary=0, us=0)
            with rawclient.Raw("127.0.0.1", fault.port, lab.user, lab.password, database="test", drop=drop,
                               timeout=60) as c:
                found = statements.differences(wanted, statements.play(c))
            assert not found, f"{len(found)}: {found[:2]}"
