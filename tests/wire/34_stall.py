# SPDX-License-Identifier: Apache-2.0
"""A replica that hangs in the middle of nothing: the monitor's verdict sends the read elsewhere."""
from lab import is_right, through_fault


def run(lab):
    with through_fault(lab.replica, with_monitor=True) as fault:
        lab.wait_ready()
        with lab.session(timeout=30) as c:
            is_right(c, "before")
            fault.add("hang", "stall", "down", bytes=0)
            is_right(c, "stalled")
            is_right(c, "again")
        fault.remove("hang")
