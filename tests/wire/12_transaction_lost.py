# SPDX-License-Identifier: Apache-2.0
"""The primary is lost inside a transaction: 1213 before COMMIT, 1158 for COMMIT itself; the session lives."""
from lab import error, is_right, op


def eats(link, _payload):
    raise OSError("closed by the script")


def ran_and_lost(link, payload):
    link.ask(payload)
    raise OSError("closed by the script")


CASES = ((1201, "SELECT v FROM wire WHERE id = 1 /* lost */", eats, (1213, "40001"), (0,)),
         (1202, "INSERT INTO wire_ops (op) VALUES (1299) /* lost */", ran_and_lost, (1213, "40001"), (0,)),
         (1203, "COMMIT /* lost */", eats, (1158, "08S01"), (0,)),
         (1204, "COMMIT /* lost */", ran_and_lost, (1158, "08S01"), (1,)))


def run(lab):
    for number, sql, trap, wanted, times in CASES:
        with lab.session() as c:
            c.query("START TRANSACTION")
            c.query(f"INSERT INTO wire_ops (op) VALUES ({number})")
            lab.primary.trap(b"lost", trap)
            found = error(c.query(sql))
            assert found == wanted, f"{number}: {found}"
            is_right(c, "after")
            assert c.query(f"INSERT INTO wire_ops (op) VALUES ({number + 50})")[-1][1][0] == 0
        assert op(lab, number) in times, f"{number}: {op(lab, number)} times"
        assert op(lab, number + 50) == 1
