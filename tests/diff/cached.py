# SPDX-License-Identifier: Apache-2.0
"""The statements of the other parts with a weir that keeps the answer of every read that may be kept: equal replies.

A rule keeps all reads for an hour (coherence own). Every read stands there twice, so that the second is answered
without a server; the cases of matrix.py run for one kind of client behind the other, so that an answer which came for
one is given to the next. What the tests change past weir is followed by CACHE FLUSH.
"""
import re

import matrix
import pymysql
import session
import test_matrix
import weirlab

SETTINGS = {
    "cache": {"memory": "64MiB", "coherence": "own", "max_entry": "4MiB"},
    "monitor": {"interval": "50ms", "catalogue_interval": "200ms"},
    "read_after_write": {"mode": "auto", "scope": "global"},
    # a server whose answers may be kept at once, whatever has just been written
    "rules": [{"name": "kept", "match": "(?i)select", "route": "primary", "cache": "1h"}],
}
HITS_LEAST = {"sessions": 40, "facts": 40, "cases": 200}
# as matrix.py's, beside them
ALLOWED = [*test_matrix.ALLOWED,
           ("mysql", "small commands", test_matrix.OLD + ("no-track-bit",), "('c', 2, b'demo')",
            "MySQL's OK to INIT_DB counts the conditions of what ran before on that connection; a SELECT before it was a hit")]
# what is asked again answers something else, or does something once more
ONCE = re.compile(r"(?i):=|\bINTO\b|SLEEP|_LOCK|FOR UPDATE|IN SHARE MODE|NEXT|FOUND_ROWS|ROW_COUNT|WARNING|ERROR|SETVAL|se_f|LAST_INSERT_ID\(\w")
READ = re.compile(r"(?i)\s*\(?\s*(/\*.*?\*/\s*)?(SELECT|WITH|TABLE|VALUES)\b")


def is_read(sql):
    text = sql.decode(errors="replace") if isinstance(sql, bytes) else sql
    return READ.match(text) and not ONCE.search(text)


def twice(statements, sql_of):
    return [s for one in statements for s in ([one, one] if is_read(sql_of(one)) else [one])]


def twice_steps(steps):
    reads = {step[1] for step in steps if step[0] == "p" and is_read(step[2])}
    return [s for one in steps for s in (
        [one, one] if (one[0] == "q" and is_read(one[1])) or (one[0] == "e" and one[1] in reads) else [one])]


def is_ready(weir):
    """weirlab's own question is for a replica, and the rule sends it to the primary."""
    try:
        return "target\tprimary" in weir.explain("SELECT 1") and weir.metrics()
    except (pymysql.MySQLError, OSError):
        return False


def hits(weir):
    return int(weir.metrics().get("weir_cache_hits_total", 0))


def known(weir, sql):
    """What was made past weir is in the catalogue, and no answer from before is kept."""
    weirlab.wait_for("the tables are in the catalogue", lambda: "cache\tkept for" in weir.explain(sql), 10)
    weir.admin("CACHE FLUSH")


def fresh(rig, weir, more=(), table="se_t"):
    session.fresh(rig, more=more)
    known(weir, f"SELECT * FROM test.{table}")


def sessions(rig, weir, report):
    """session.sql, in text and prepared."""
    groups = [(name, twice(statements, lambda one: one[0])) for name, statements in session.groups(rig.flavour)]
    for is_prepared in (False, True):
        results = []
        for port in (rig.port(0), weir.port):
            fresh(rig, weir)
            results.append([session.run_group(port, rig.env["DB_PASSWORD"], statements, is_prepared)
                            for _, statements in groups])
        problems = []
        for (_, statements), a, b in zip(groups, *results):
            problems += session.compare(rig, a, b, statements)
        report.check(f"diff {rig.flavour} cached session{' prepared' if is_prepared else ''}"
                     f" ({sum(len(g[1]) for g in groups)})", problems)


def facts(rig, weir, report):
    """Its reads: what the others define would leave the catalogue behind for most of the time."""
    statements = twice([s for s in session.facts(rig.flavour) if is_read(s)], lambda one: one)
    results = []
    for port in (rig.port(0), weir.port):
        fresh(rig, weir, session.fact_tables(), session.FACT_TABLES[-1])
        results.append(session.run_facts(port, rig.env["DB_PASSWORD"], statements))
    report.check(f"diff {rig.flavour} cached statements of facts.tsv ({len(statements)})",
                 session.compare(rig, *results, [(s, False) for s in statements]))


def cases(rig, weir, report):
    """matrix.py: each case, for all kinds of client, one behind the other."""
    for name, steps in matrix.CASES.items():
        steps = twice_steps(steps)
        problems = []
        for kind, drop in matrix.KINDS.items():
            results = []
            for port in (rig.port(0), weir.port):
                if name.endswith("!"):
                    rig.primary.execute("USE test", "TRUNCATE TABLE m_write")
                    weir.admin("CACHE FLUSH")
                results.append(matrix.run_case(port, rig.env["DB_PASSWORD"], steps, {"drop": drop}))
            problems += [f"{kind}: {d}" for d in matrix.all_differences(*results, steps)
                         if not matrix.allowed(rig.flavour, name.rstrip("!"), kind, d, ALLOWED)]
        report.check(f"diff {rig.flavour} cached {name.rstrip('!')}", problems)


def run(rig, binary, report, is_long):
    if rig.flavour == "mysql" and not is_long:
        return
    with weirlab.Weir(rig, binary=binary, wait_replicas=False, **SETTINGS) as weir:
        weirlab.wait_for("weir is ready", lambda: is_ready(weir), 15)
        for part in (sessions, facts, cases):
            if part is cases:
                rig.primary.execute("USE test", *matrix.SETUP)
                rig.settle()
                known(weir, "SELECT * FROM test.m_t, test.m_many")
            before = hits(weir)
            part(rig, weir, report)
            count = hits(weir) - before
            least = HITS_LEAST[part.__name__]
            print(f"    {count} hits")
            report.check(f"diff {rig.flavour} cached {part.__name__}: hits", [] if count >= least else [f"{count}, fewer than {least}"])
        if weir.process.poll() is not None:
            report.fail(f"diff {rig.flavour} cached weir lives", weir.log()[-500:])
