# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of matrix.py on both ends and compares."""
import matrix
import rawclient as rc
import weirlab

# Accepted differences: flavour, case, kinds of client, words of the difference, why.
ALL = ("new", "no-eof-bit", "no-track-bit", "old", "flags")
OLD = ("no-eof-bit", "old")
ALLOWED = [
    ("*", "trackers", ALL, "session_track", "weir's connections track more; the variable read back shows it"),
    ("*", "trackers", ALL, "SELECT COUNT(*)", "the first EOF of an old client never carries the flag of session state"),
    ("*", "*", ALL, "Unknown prepared statement handler (ID)", "of a body too short MariaDB reads an id out of what is behind it"),
    ("*", "*", ALL, "Malformed communication packet", "for a body too short MySQL's words without the full stop; MariaDB takes it"),
    ("mariadb", "error in mid-result", OLD, "5 bytes: \\xfe\\x00\\x00\"\\x00", "flags of the optimiser in the first EOF, when an error ends it"),
    ("mariadb", "EXECUTE", OLD, "5 bytes: \\xfe\\x00\\x00\"\\x00", "flags of the optimiser in the first EOF, when an error ends it"),
    ("mysql", "*", ALL, "\\x03def\\x00\\x00\\x00\\x01?\\x00\\x0c", "the type of a bare ? is what this statement had before on that server"),
    ("mysql", "unknown commands", ALL, "('c', 33,", "a command between servers"),
    ("mysql", "unknown commands", ALL, "Gone", "MySQL 9 closes the connection for a number beyond its own"),
    ("mysql", "unknown commands", ALL, "replies direct", "the same"),
    ("mysql", "prepared CALL", OLD, "\\xfe\\x00\\x00\\x0a\\x10", "MySQL leaves MORE_RESULTS out of an EOF; through weir it is there"),
]


def compare(rig, weir, report, name, steps, options, kind):
    case = name.rstrip("!")
    results = []
    for port in (rig.port(0), weir.port):
        if name.endswith("!"):
            rig.primary.execute("USE test", "TRUNCATE TABLE m_write")
        results.append(matrix.run_case(port, rig.env["DB_PASSWORD"], steps, options))
    found = [d for d in matrix.all_differences(*results, steps)
             if not matrix.allowed(rig.flavour, case, kind, d, ALLOWED)]
    report.check(f"diff {rig.flavour} matrix {case} ({kind})", found)


def run(rig, binary, report, is_long):
    rig.primary.execute("USE test", *matrix.SETUP)
    rig.settle()
    with weirlab.Weir(rig, binary=binary) as weir:
        weirlab.wait_for("the tables are in the catalogue", lambda: "target\treplica" in weir.explain(
            "SELECT * FROM test.m_t, test.m_many"), 10)
        for kind, drop in matrix.KINDS.items():
            for name, steps in matrix.CASES.items():
                compare(rig, weir, report, name, steps, {"drop": drop}, kind)
        for name, (options, steps) in matrix.FLAGS.items():
            compare(rig, weir, report, name, steps, options, "flags")
        sizes = matrix.SIZES if is_long else matrix.SIZES[::4] + [(1 << 24) - 1]
        for kind in ("new", "old"):
            compare(rig, weir, report, "sizes about 2^24", matrix.size_steps(sizes), {"drop": matrix.KINDS[kind]}, kind)
        m = weir.metrics()
        on_replicas = sum(m[f'weir_server_queries_total{{server="{n.name}"}}'] for n in rig.replicas)
        if on_replicas > 100:
            report.ok(f"diff {rig.flavour} matrix replies of replicas too")
        else:
            report.fail(f"diff {rig.flavour} matrix replies of replicas too", f"only {on_replicas}")
        if weir.process.poll() is not None:
            report.fail(f"diff {rig.flavour} matrix weir lives", weir.log()[-500:])
