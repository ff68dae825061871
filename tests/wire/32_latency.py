# SPDX-License-Identifier: Apache-2.0
"""Late bytes on both servers: the same replies, and nothing is run twice."""
from lab import is_right, op, through_fault


def run(lab):
    with through_fault(lab.replica) as one, through_fault(lab.primary) as two:
        for fault in (one, two):
            fault.add("late", "latency", "both", ms=20, jitter=10)
        with lab.session(timeout=30) as c:
            for n in range(5):
                is_right(c, f"late {n}")
                assert c.query(f"INSERT INTO wire_ops (op) VALUES ({3200 + n})")[-1][1][0] == 0
    assert [op(lab, 3200 + n) for n in range(5)] == [1] * 5
