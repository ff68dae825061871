# SPDX-License-Identifier: Apache-2.0
"""The primary is lost under an autocommit write: one 1158 that says it may have run, and it ran at most once."""
from lab import error, is_right, op


def eats(link, _payload):
    """Gone before the server heard of it."""
    raise OSError("closed by the script")


def cut(at):
    def answer(link, payload):
        link.front.send(link.ask(payload)[:at])
        link.front.reset() if at % 2 else link.front.close()
        raise OSError("closed by the script")
    return answer


def run(lab):
    for number, trap in enumerate([eats] + [cut(at) for at in range(11)], 1100):
        with lab.session() as c:
            is_right(c)
            lab.primary.seen.clear()
            lab.primary.trap(b"(%d)" % number, trap)
            found = error(c.query(f"INSERT INTO wire_ops (op) VALUES ({number})"))
            assert found == (1158, "08S01"), f"{number}: {found}"
            assert len(lab.primary.seen) == 1, f"{number}: the primary was not asked"
            packets = c.query(f"INSERT INTO wire_ops (op) VALUES ({number + 50})")
            assert packets[-1][1][0] == 0, f"{number}: {packets}"
        times = op(lab, number)
        assert times == (0 if trap is eats else 1), f"{number}: {times} times"
        assert op(lab, number + 50) == 1
