# SPDX-License-Identifier: Apache-2.0
"""What clients of the pool part do: scenes, each a short list of steps, made from a fixed seed.

A step is a tuple, its first word says what:
  q sql | ~ sql (only the kind of reply and the error are compared) | com number body kind
  prep slot sql | exec slot params cursor resend | bulk slot rows resend | fetch slot rows | long slot param data | sreset slot | close slot
  change user | pipe [(com, body, kind), ...]
A scene that is `held` keeps its connection from its first step to its last (a transaction, a pin):
nobody else may be scheduled within it when there is one connection. The others are cut anywhere.
"""
import os
import random

import rawclient as rc
import rawstmt as st

HELD, FREE, LATE = "held", "free", "late"  # late: held, or free where the pool is asked for more


def statements():
    """{group: [statement, ...]} of pool_statements.sql"""
    found, group = {}, None
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pool_statements.sql"), encoding="utf-8") as f:
        for line in f.read().splitlines():
            if line.startswith("--- "):
                group = found.setdefault(line[4:].split(":")[0], [])
            elif group is not None:
                group.append("" if line == "(empty)" else line)
    return found


POOLS = statements()
SETS, ASKS, READS, WRITES, CHECKS = (POOLS[n] for n in ("sets", "asks", "reads", "writes", "checks"))
WARNED, ERRORS, PREPARED, WRITES_PREPARED = (POOLS[n] for n in ("warned", "errors", "prepared", "writes prepared"))
KINDS = (lambda n: st.number(st.INT, n), lambda n: st.number(st.BIGINT, n), lambda n: st.unsigned(st.SHORT, n), lambda n: st.text(f"{n}"),
         lambda n: st.real(n), lambda n: st.unsigned(st.BIGINT, n), lambda n: st.text("value%"), lambda n: st.number(st.TINY, n),
         lambda n: st.number(st.BIGINT, -n), lambda n: st.unsigned(st.BIGINT, 2 ** 64 - n), lambda n: st.unsigned(st.TINY, 200 + n),
         lambda n: st.unsigned(st.SHORT, 65000 + n), lambda n: st.unsigned(st.INT, 2 ** 32 - n), lambda n: st.single(n / 2),
         lambda n: st.real(n + 0.25), lambda n: st.text("", st.STRING), lambda n: st.text(bytes([0, 255, n]), st.BLOB),
         lambda n: st.text(f"{n}.125", st.NEWDECIMAL), lambda n: st.null(), lambda n: st.null(st.BLOB), lambda n: st.null(st.BIGINT, 0x80),
         lambda n: st.date(2024, 2, 20 + n),
         lambda n: st.datetime(2024, 2, 29, 12, 34, n), lambda n: st.datetime(2024, 6, 1, 0, 0, 0, 123450 + n),
         lambda n: st.datetime(2024, 6, n, kind=st.TIMESTAMP), lambda n: st.zero(), lambda n: st.time(0, 12, 34, n),
         lambda n: st.time(34, 22, 59, n, 999999, True),
         lambda n: st.zero(st.TIME), lambda n: st.number(st.YEAR, 2000 + n), lambda n: st.text("x" * 100 * n))


class Scene:
    def __init__(self, kind, steps, reset=False):
        """reset: the state lasts until COM_RESET_CONNECTION, which is added while the scene is held."""
        self.kind, self.steps, self.reset = kind, steps, reset


class Words:
    """Scenes for one client. writer: the number of its tables, None for a client that only reads.

    is_strict: types that were changed need not be sent with every EXECUTE from then on; a weir
    without a pool does not tell them to a server that knows the statement by older ones."""

    def __init__(self, seed, writer, name, flavour, is_strict):
        self.r, self.writer, self.name, self.flavour, self.is_strict = random.Random(seed), writer, name, flavour, is_strict
        self.changed = set()  # slots
        self.slots = {}  # slot -> [number of parameters, how they are made, any type will do, has been executed]
        self.n = 0
        self.batches = random.Random(seed + 1)

    def fill(self, sql):
        return sql.format(c=self.writer, k=self.r.randrange(1, 50), i=self.r.randrange(1, 301), name=self.name)

    def pick(self, pool, low=1, high=1):
        return [("q", self.fill(self.r.choice(pool))) for _ in range(self.r.randint(low, high))]

    # --- what needs no connection of its own
    def reads(self):
        return Scene(FREE, self.pick(READS, 1, 5))

    def forget(self):
        """A weir without a pool may lose a pinned session's statements that another state has prepared."""
        if not self.is_strict:
            self.slots.clear()

    def sets(self):
        self.forget()
        return Scene(FREE, self.pick(SETS, 1, 2) + self.pick(ASKS) + self.pick(READS, 0, 2))

    def asks(self):
        return Scene(FREE, self.pick(ASKS, 1, 2))

    def schema(self):
        self.forget()
        name = self.r.choice(("pl_a", "pl_b"))
        step = ("q", f"USE {name}") if self.r.random() < 0.5 else ("com", rc.COM_INIT_DB, name.encode(), "simple")
        return Scene(FREE, [step] + self.pick(READS, 1, 2))

    def errors(self):
        return Scene(FREE, [("q", self.fill(e)) for e in self.r.sample(ERRORS, 3) if self.writer is not None or "{c}" not in e] + self.pick(READS))

    def writes(self):
        return Scene(FREE, self.pick(WRITES, 1, 4) + self.pick(CHECKS))

    def ids(self):
        """LAST_INSERT_ID() belongs to the session, whoever had the connection in between."""
        ask = ("q", "SELECT LAST_INSERT_ID()")
        steps = [("q", self.fill("INSERT INTO w{c} (v) VALUES ({i})")), ask, ("q", self.fill("INSERT INTO w{c} (v) VALUES (1), (2)")), ask,
                 ("q", self.fill("UPDATE w{c} SET s = 'mine' WHERE id = LAST_INSERT_ID()")), ("q", self.fill("SELECT * FROM w{c} WHERE id = LAST_INSERT_ID()")),
                 ("q", self.fill("INSERT INTO c{c} (id, pid) VALUES (LAST_INSERT_ID() + 5000, 2)")), ask,
                 ("q", self.fill("INSERT INTO w{c} (v, s) VALUES (LAST_INSERT_ID(), 'next')")),
                 ("q", "SELECT @@last_insert_id, @@identity"), ("q", self.fill("INSERT INTO w{c} (id, v) VALUES ({i}00{k}, 1)")), ask,
                 ("q", self.fill("DELETE FROM c{c}"))]
        return Scene(FREE, steps)

    def commands(self):
        steps = [("com", rc.COM_PING, b"", "simple"), ("com", rc.COM_STATISTICS, b"", "~"), ("com", rc.COM_FIELD_LIST, b"s_int\0%", "rows"),
                 ("com", 30 + 200, b"", "simple"),
                 ("com", rc.COM_SET_OPTION, b"\1\0", "simple"), ("q", "SELECT 1; SELECT 2"), ("com", rc.COM_SET_OPTION, b"\0\0", "simple"),
                 ("q", "SELECT 1; SELECT 2"),
                 ("com", rc.COM_SET_OPTION, b"\7\0", "simple"), ("com", rc.COM_DEBUG, b"", "~")]
        at = self.r.randrange(len(steps) - 1)
        return Scene(FREE, steps[4:8] if self.r.random() < 0.4 else steps[at:at + 2] if at not in (3, 4, 5) else steps[:3])

    def several(self):
        return Scene(FREE, [("q", self.fill("SELECT {k}; SELECT * FROM s_num; SELECT COUNT(*) FROM s_many WHERE k = {k}")),
                            ("q", self.fill("SELECT 1; SELEC 2; SELECT 3"))])

    def pipe(self):
        commands = [(rc.COM_QUERY, self.fill(self.r.choice(READS)), "query") for _ in range(self.r.randint(2, 6))]
        if self.writer is not None:
            commands.insert(1, (rc.COM_QUERY, self.fill(self.r.choice(WRITES)), "query"))
        return Scene(FREE, [("pipe", commands + [(rc.COM_PING, b"", "simple")])])

    def reset(self):
        self.slots.clear()
        return Scene(FREE, [("com", rc.COM_RESET_CONNECTION, b"", "simple")] + self.pick(ASKS, 1, 2) + [("q", "SELECT @a")])

    def change(self):
        self.slots.clear()
        return Scene(FREE, [("change", 1)] + self.pick(ASKS) + self.pick(READS) + [("change", 0)] + self.pick(ASKS))

    # --- prepared
    def execute(self, slot):
        """MySQL gives a parameter the type that it had first, for as long as it can be converted: so
        what a statement answers depends on all that it was executed with on that connection, and a
        client that changes types must not be among those whose statements move."""
        count, kinds, is_wide, _ = self.slots[slot]
        is_new = not kinds or (self.flavour == "mariadb" and self.r.random() < 0.5)
        if is_new:
            kinds = self.slots[slot][1] = [self.r.choice(KINDS if is_wide or self.r.random() < 0.4 else KINDS[:8]) for _ in range(count)]
        params = [kind(self.r.randrange(1, 5)) for kind in kinds]
        if is_new and self.slots[slot][3]:
            self.changed.add(slot)
        self.slots[slot][3] = True
        resend = is_new or self.r.random() < 0.5 or (slot in self.changed and not self.is_strict)
        if self.flavour == "mariadb" and not is_new and resend and params and self.r.random() < 0.4:
            params[-1] = st.null(params[-1][0], params[-1][1])
        if self.flavour == "mariadb" and params and not is_wide and self.batches.random() < 0.4:
            return ("bulk", slot, [params] + [self.row(kinds) for _ in range(self.batches.randrange(4))], resend)
        return ("exec", slot, params, st.NO_CURSOR, resend)

    def row(self, kinds):
        """Of a batch: values, and words that stand for one."""
        r = self.batches
        return [kind(r.randrange(1, 5)) if r.random() < 0.8 else r.choice((st.NULL, st.DEFAULT, st.IGNORE)) for kind in kinds]

    def new_slot(self, pool):
        sql = self.fill(self.r.choice(pool))
        slot = self.n
        self.n += 1
        self.slots[slot] = [sql.count("?"), None, "SELECT" in sql, False]
        return slot, ("prep", slot, sql)

    def prepare(self):
        slot, step = self.new_slot(PREPARED if self.writer is None or self.r.random() < 0.6 else WRITES_PREPARED)
        return Scene(FREE, [step] + [self.execute(slot) for _ in range(self.r.randint(1, 3))])

    def again(self):
        """Statements that were prepared long ago; some closed, some that never were."""
        if not self.slots:
            return self.prepare()
        slot = self.r.choice(sorted(self.slots))
        steps = [self.execute(slot) for _ in range(self.r.randint(1, 3))]
        if self.r.random() < 0.3:
            del self.slots[slot]
            steps += [("close", slot), ("exec", slot, [], st.NO_CURSOR, True)]
        return Scene(FREE, steps)

    def long_data(self):
        slot, step = self.new_slot(("SELECT LENGTH(?), CRC32(?)",) if self.writer is None else ("SELECT LENGTH(?), CRC32(?)",
                                                            "INSERT INTO b{c} (bl, s) VALUES (?, ?)"))
        del self.slots[slot]
        pieces = [("long", slot, 0, "p" * self.r.randrange(0, 3000)) for _ in range(self.r.randint(1, 3))]
        run = ("exec", slot, [st.long_data(), st.text("beside")], st.NO_CURSOR, True)
        dropped = [("long", slot, 0, "lost"), ("sreset", slot), ("exec", slot, [st.text("after"), st.text("reset")], st.NO_CURSOR, True)]
        return Scene(FREE, [step] + pieces + [run] + dropped + [("close", slot)])

    # --- what keeps a connection
    def transaction(self):
        body = self.pick(READS, 0, 2)
        if self.writer is not None:
            body = self.pick(WRITES, 1, 3) + self.pick(CHECKS) + [("q", "SAVEPOINT one")] + self.pick(WRITES) + [("q",
                                                            self.r.choice(("ROLLBACK TO one", "RELEASE SAVEPOINT one")))] + body
        begin = self.r.choice(("BEGIN", "START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "START TRANSACTION READ ONLY"))
        return Scene(HELD, [("q", begin)] + body + [("q", self.r.choice(("COMMIT", "ROLLBACK", "COMMIT AND NO CHAIN")))])

    def no_autocommit(self):
        return Scene(HELD, [("q", "SET autocommit = 0")] + self.pick(WRITES if self.writer is not None else READS) + [("q", "SELECT @@autocommit"),
                                                            ("q", self.r.choice(("COMMIT", "ROLLBACK")))]
                     + self.pick(READS) + [("q", "COMMIT"), ("q", "SET autocommit = 1")])

    def next_transaction(self):
        return Scene(HELD,
                     [("q", "SET TRANSACTION READ ONLY"),
                            ("q", "BEGIN")] + self.pick(READS) + (self.pick(WRITES) if self.writer is not None else []) + [("q", "COMMIT")] + self.pick(READS))

    def temporary(self):
        return Scene(HELD, [("q", "CREATE TEMPORARY TABLE tmp (id INT PRIMARY KEY, v INT)"), ("q", self.fill("INSERT INTO tmp VALUES (1, {k})")),
                            ("q", "SELECT * FROM tmp"), ("q", "CREATE TEMPORARY TABLE s_num (other INT)"),
                            ("q", "SELECT * FROM s_num"), ("q", "DROP TEMPORARY TABLE tmp"), ("q", "DROP TEMPORARY TABLE s_num"),
                            ("q", "SELECT COUNT(*) FROM s_num")])

    def named_lock(self):
        return Scene(HELD, [("q", f"SELECT GET_LOCK('pl{self.name}', 0)"), ("q",
                                                            f"SELECT IS_FREE_LOCK('pl{self.name}')")] + self.pick(READS) + [("q",
                                                            f"SELECT RELEASE_LOCK('pl{self.name}')"), ("q", f"SELECT IS_FREE_LOCK('pl{self.name}')")])

    def table_lock(self):
        return Scene(HELD, [("q", self.fill("LOCK TABLES w{c} WRITE, s_num READ")), ("q", self.fill("INSERT INTO w{c} (v) VALUES ({k})")),
                            ("q", "SELECT * FROM s_num ORDER BY id"), ("q", "SELECT * FROM s_int"), ("q", "UNLOCK TABLES"),
                            ("q", "SELECT COUNT(*) FROM s_int")])

    def text_prepare(self):
        return Scene(HELD, [("q", "PREPARE st FROM 'SELECT id, k FROM s_many WHERE id = ?'"), ("q", self.fill("SET @p = {i}")),
                            ("q", "EXECUTE st USING @p"), ("q", "EXECUTE st"), ("q", "DEALLOCATE PREPARE st"), ("q", "EXECUTE st USING @p")], True)

    def cursor(self):
        slot, step = self.new_slot(("SELECT id, k FROM s_many WHERE id < ? ORDER BY id", "SELECT * FROM s_int WHERE id < ? ORDER BY id"))
        steps = [step, ("exec", slot, [st.number(st.INT, 30)], st.READ_ONLY, True)]
        steps += [("fetch", slot, n) for n in (1, 5, 0, self.r.randrange(1, 40))] + self.pick(READS, 0, 1)
        steps += [("fetch", slot, 100), ("fetch", slot, 1)] if self.r.random() < 0.5 else [("sreset", slot), ("fetch", slot, 1)]
        del self.slots[slot]
        return Scene(HELD, steps + [("close", slot), ("q", "DO 0")])

    def handler(self):
        return Scene(HELD, [("q", "HANDLER s_many OPEN AS h"), ("q", "HANDLER h READ FIRST"), ("q", "HANDLER h READ NEXT LIMIT 2"),
                            ("q", "HANDLER h CLOSE"), ("q", "HANDLER h READ FIRST")])

    def xa(self):
        x = f"'x{self.name}{self.r.randrange(1000)}'"
        return Scene(HELD, [("q", f"XA START {x}")] + self.pick(WRITES) + [("q", f"XA END {x}"), ("q", f"XA PREPARE {x}"),
                                                            ("q", f"XA {self.r.choice(('COMMIT', 'ROLLBACK'))} {x}")] + self.pick(CHECKS), True)

    # --- held with a pool that keeps the connection for it, free with one that remembers instead
    def literals(self):
        return Scene(LATE, [("q", self.fill("SET @a = {k}, @b = 'two {i}', @c = NULL, @d = 1.50, @e = x'00FF'")),
                            ("q", "SELECT @a, @b, @c, @d, @e, @never")] + self.pick(READS)
                     + [("q", self.fill("SET @a = {i}, @@time_zone = '+0{k}:30', sql_select_limit = 3, @f = 'six'".replace("{k}", str(self.r.randrange(10))))),
                        ("q", "SELECT @a, @f, @@time_zone, FROM_UNIXTIME(0)"), ("q", "SELECT id FROM s_many"),
                        ("q", "SET @a = 7, @@session.time_zone = DEFAULT, sql_select_limit = DEFAULT")] + self.pick(READS)
                     + [("q", "SELECT id, k FROM s_many WHERE id = @a"), ("q", "SET @a = @a + 1"), ("q", "SELECT @a")], True)

    def rows_counted(self):
        sql = self.fill(self.r.choice(WRITES if self.writer is not None else READS))
        return Scene(LATE,
                     [("q", sql), ("q", "SELECT ROW_COUNT()"), ("q", "SELECT SQL_CALC_FOUND_ROWS id FROM s_many WHERE k < 20 ORDER BY id LIMIT 3"),
                            ("q", "SELECT FOUND_ROWS()"),
                            ("q", "SELECT id FROM s_many LIMIT 5"), ("q", "SELECT FOUND_ROWS()"), ("q", "DO 0")])

    def warned(self):
        return WARNED if self.writer is not None else [w for w in WARNED if "{c}" not in w and not w.startswith("DROP")]

    def warnings(self):
        return Scene(LATE, self.pick(self.warned()) + [("q", "SHOW WARNINGS")] + self.pick(self.warned()) + [("q", "SHOW WARNINGS"), ("q", "DO 0")])

    def counts(self):
        """Only a connection that has been kept knows these: see "Not there yet" in src/client/README.md."""
        return Scene(HELD, self.pick(self.warned()) + [("q", "SHOW WARNINGS"), ("q", "SELECT @@warning_count, @@error_count")]
                     + self.pick(self.warned()) + [("q", "SHOW COUNT(*) WARNINGS"), ("q", "SHOW ERRORS"), ("q", "DO 0")])

    def call(self):
        return Scene(LATE, [("q", self.fill(self.r.choice(("CALL p_two({k})", "CALL p_fail({k})", "CALL p_two(0)"))))] + self.pick(READS), True)

    def call_out(self):
        return Scene(HELD, [("q", "SET @o = 1, @io = 'x'"), ("q", self.fill("CALL p_out({k}, @o, @io)")), ("q", "SELECT @o, @io")], True)

    def own_id(self):
        return Scene(HELD, [("q", self.fill("SELECT LAST_INSERT_ID({i})")), ("q", "SELECT LAST_INSERT_ID()"),
                            ("q", self.fill("UPDATE u{c} SET id = LAST_INSERT_ID(id + 1000) WHERE k = 20")), ("q", "SELECT LAST_INSERT_ID()"),
                            ("q", self.fill("INSERT INTO w{c} (id, v) VALUES (LAST_INSERT_ID() + {i}00, 9)"))], True)

    def variables(self):
        name, values = self.r.choice((("group_concat_max_len", (5, 100)), ("sql_select_limit", (2, 3)), ("div_precision_increment", (8, 2)),
                                      ("lc_time_names", ("'de_DE'", "'fr_FR'")), ("max_sort_length", (8, 64)), ("default_week_format", (1, 3))))
        return Scene(LATE, [("q", f"SET SESSION {name} = {self.r.choice(values)}"), ("q", f"SELECT @@{name}"),
                            ("q", "SELECT GROUP_CONCAT(id ORDER BY id), 1/7, DAYNAME('2024-01-01'), WEEK('2024-01-03') FROM s_many"),
                            ("q", "SELECT id FROM s_many WHERE id < 9 ORDER BY id"), ("q", f"SET SESSION {name} = DEFAULT")], True)

    def assigned(self):
        return Scene(HELD, [("q", "SELECT @r := MAX(id) FROM s_many"), ("q", "SELECT @r"), ("q", "SELECT k INTO @k FROM s_many WHERE id = 3"),
                            ("q", "SELECT @k, @r"), ("q", "SET @n = 0"), ("q", "SELECT @n := @n + 1, id FROM s_int ORDER BY id")], True)

    def define(self):
        n = f"n{self.writer}"
        return Scene(FREE, [("q", f"CREATE TABLE {n} (id INT PRIMARY KEY AUTO_INCREMENT, v INT)"), ("q", f"INSERT INTO {n} (v) VALUES (1), (2)"),
                            ("q", f"SELECT * FROM {n} ORDER BY id"), ("q", f"ALTER TABLE {n} ADD COLUMN w VARCHAR(5) DEFAULT 'w'"),
                            ("q", f"SELECT * FROM {n} ORDER BY id"), ("q", f"DROP TABLE {n}"), ("q", f"SELECT * FROM {n}")])


READER = dict(reads=8, sets=6, asks=4, schema=4, errors=2, commands=2, several=1, pipe=2, reset=1, change=1, prepare=6, again=6, long_data=2,
              transaction=2, no_autocommit=1, next_transaction=1, temporary=1, named_lock=1,
              text_prepare=1, cursor=2, handler=1, literals=2, rows_counted=1, warnings=1, counts=1, call=1, call_out=1, variables=1, assigned=1)
WRITER = dict(READER, writes=8, ids=3, transaction=4, table_lock=1, xa=1, own_id=1, define=1, reads=4, rows_counted=2, warnings=2)
# --- for a client that shall be sent to replicas: nothing that makes its session the primary's for good
AWAY = {k: v for k, v in READER.items() if k in ("reads", "sets", "asks", "schema", "pipe", "reset", "prepare", "again", "long_data", "several", "transaction")}


def script(words, weights, count):
    """Scenes with some `count` steps in all."""
    names, out, steps = list(weights), [], 0
    while steps < count:
        scene = getattr(words, words.r.choices(names, list(weights.values()))[0])()
        if scene.reset:
            words.slots.clear()
        out.append(scene)
        steps += len(scene.steps) + scene.reset
    return out
