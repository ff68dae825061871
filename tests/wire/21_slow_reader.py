# SPDX-License-Identifier: Apache-2.0
"""A client that does not read a large result keeps nobody waiting; when it reads, all of it is there."""
from lab import is_right
from rawclient import COM_QUERY, command

ROWS = 4000


def run(lab):
    sql = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
           "SELECT a.i, REPEAT('x', 8000) FROM n a JOIN n b ON b.i <= 4")
    slow = [lab.session(timeout=30) for _ in range(4)]
    for c in slow:
        c.send(command(COM_QUERY, sql))
    for n in range(100):
        with lab.session() as c:
            is_right(c, f"beside {n}")
    for c in slow:
        packets = c.reply("query")
        count = len(packets) - 1 - 2 - 1 - (0 if c.is_new else 1)
        assert packets[-1][1][0] == 0xFE and count == ROWS, f"{count} rows"
        is_right(c, "after")
        c.close()
