# SPDX-License-Identifier: Apache-2.0
"""The list of statements whose replies are compared with and without a fault between."""
TEXTS = [
    "SELECT 1", "SELECT NULL", "SELECT ''", "SELECT 'a', 2, 3.5, NULL, x'00ff'", "SELECT REPEAT('x', 250)",
    "SELECT REPEAT('x', 251)", "SELECT REPEAT('x', 70000)", "SELECT * FROM wire", "SELECT * FROM wire WHERE id = 99",
    "SELECT id, v FROM wire ORDER BY id DESC", "SELECT COUNT(*), MAX(id), MIN(v) FROM wire", "SELECT d FROM wire",
    "SELECT no_such_column FROM wire", "SELECT * FROM no_such_table", "SELEC 1", "SELECT 1 UNION SELECT 2",
    "SELECT a.id, b.id FROM wire a JOIN wire b ORDER BY 1, 2", "SELECT CAST(1 AS DECIMAL(20, 5))", "DO 1",
    "SELECT 1/0", "SET @a = 1", "SELECT @a", "START TRANSACTION", "UPDATE wire SET f = 2.5 WHERE id = 2",
    "SELECT f FROM wire WHERE id = 2", "ROLLBACK", "SET NAMES utf8mb4", "SELECT '\u00e4\u20ac'", "USE test",
    "SELECT DATABASE()", "SHOW TABLES LIKE 'wire'", "DESCRIBE wire", "SHOW COLUMNS FROM wire",
    "SET autocommit = 0", "SET autocommit = 1", "SELECT " + ", ".join(str(n) for n in range(60)),
    "SELECT /* a comment */ 1 -- and more", "EXPLAIN SELECT * FROM wire WHERE id = 1", "SAVEPOINT a", "COMMIT",
]
BINARY = [("SELECT ?", (5,)), ("SELECT ?, ?", ("text", None)), ("SELECT * FROM wire WHERE id = ?", (1,)),
          ("SELECT v FROM wire WHERE v LIKE ?", ("%o%",)), ("SELECT ? + 1.5", (2.25,)),
          ("SELECT * FROM wire WHERE id > ?", (0,)), ("UPDATE wire SET f = f WHERE id = ?", (99,))]


def play(client):
    """Every packet of every reply, as (statement, packets)."""
    out = [(sql, client.query(sql)) for sql in TEXTS]
    for sql, params in BINARY:
        stmt, prepared = client.prepare(sql)
        out.append(("prepare " + sql, [(seq, p if p[:1] != b"\0" else p[5:]) for seq, p in prepared]))
        if stmt is not None:
            out.append(("execute " + sql, client.execute(stmt, params)))
            out.append(("again " + sql, client.execute(stmt, params, bound=False)))
    return out


def comparable(packets):
    """weir makes the EOF behind the definitions for old clients, before it may have seen the flags
    "no index used" (0x10, 0x20) in the result's end: these two do not count there."""
    return [(seq, p[:3] + bytes([p[3] & 0xCF]) + p[4:]) if len(p) == 5 and p[0] == 0xFE and n + 1 < len(packets)
            else (seq, p) for n, (seq, p) in enumerate(packets)]


def differences(wanted, got):
    return [f"{a[0]}: {a[1]!r:.200} became {b[1]!r:.200}" for a, b in zip(wanted, got, strict=True)
            if comparable(a[1]) != comparable(b[1])]
