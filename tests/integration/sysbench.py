# SPDX-License-Identifier: Apache-2.0
"""sysbench through weir: 16 threads, 4 tables of 20,000 rows, text and prepared, without an error."""
import os
import re
import subprocess
import tempfile

from weirlab import counters

MODES = ("oltp_read_write", "oltp_read_only", "oltp_point_select")
THREADS, TABLES, ROWS = 16, 4, 20000


def sysbench(rig, port, test, verb, prepared, seconds):
    fd, options = tempfile.mkstemp(prefix="weir-sysbench-")  # 0600: no password among the arguments
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(f"mysql-host=127.0.0.1\nmysql-port={port}\nmysql-user={rig.env['DB_USER']}\n"
                    f"mysql-password={rig.env['DB_PASSWORD']}\nmysql-db=sbtest\ndb-driver=mysql\n"
                    f"threads={THREADS if verb == 'run' else TABLES}\n"
                    f"time={seconds}\nrand-type=uniform\ndb-ps-mode={'auto' if prepared else 'disable'}\n")
        # options of the test itself are taken from the command line only
        return subprocess.run(["sysbench", f"--config-file={options}", test, f"--tables={TABLES}",
                               f"--table-size={ROWS}", verb], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=seconds + 120)
    finally:
        os.unlink(options)


def prepare(rig):
    """The tables, straight on the primary; weir's catalogue finds them by itself."""
    with rig.connect(0, database="sbtest") as c, c.cursor() as cur:
        for i in range(1, TABLES + 1):
            cur.execute(f"DROP TABLE IF EXISTS sbtest{i}")
    done = sysbench(rig, rig.port(0), "oltp_read_write", "prepare", False, 0)
    if done.returncode:
        raise RuntimeError(f"sysbench prepare: {done.stdout[-600:]}")
    for i in range(1, TABLES + 1):
        count = rig.primary.value(f"SELECT COUNT(*) FROM sbtest.sbtest{i}")
        if count != ROWS:
            raise RuntimeError(f"sysbench prepare: {count} rows in sbtest{i}")
    rig.settle(60)


def deadlocks(rig):
    """How many the primary has seen; what sysbench repeats because of them is no error of weir's."""
    if rig.flavour == "mariadb":
        return int(rig.primary.rows("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0]["Value"])
    return int(rig.primary.value("SELECT `COUNT` FROM information_schema.INNODB_METRICS "
                                 "WHERE NAME = 'lock_deadlocks'"))


def number(text, pattern):
    m = re.search(pattern, text)
    return int(m.group(1)) if m else None


def run_mode(rig, weir, test, prepared, seconds):
    """(complaints, one line of figures) of one mode."""
    before, locks = counters(rig, ("Com_select",)), deadlocks(rig)
    done = sysbench(rig, weir.port, test, "run", prepared, seconds)
    after, locks = counters(rig, ("Com_select",)), deadlocks(rig) - locks
    out = done.stdout
    queries = number(out, r"total:\s+(\d+)")
    ignored = number(out, r"ignored errors:\s+(\d+)")
    again = number(out, r"reconnects:\s+(\d+)")
    wrong = []
    if done.returncode or not queries or "FATAL" in out:
        wrong.append(f"status {done.returncode}: {' '.join(out.split())[-500:]}")
    elif ignored > locks or again:
        wrong.append(f"{ignored} errors, {locks} of them deadlocks, {again} reconnects")
    select = {n: after[n]["Com_select"] - before[n]["Com_select"] for n in after}
    share = 1 - select["primary"] / max(1, sum(select.values()))
    if not wrong and test == "oltp_point_select" and share < 0.95:
        wrong.append(f"only {share:.0%} of the SELECTs were executed by replicas")
    return wrong, f"{(queries or 0) // max(1, seconds)} queries/s, {share:.0%} of SELECTs on replicas"
