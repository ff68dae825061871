# SPDX-License-Identifier: Apache-2.0
"""run_python.py pymysql|mysqldb PLAN: one of the suite's runners (suite.py says what a plan is)."""
import datetime
import hashlib
import importlib
import json
import sys

BIG = "x" * (17 * 1024 * 1024)


def plain(v):
    """A value as JSON: its type stays visible, long ones become a digest."""
    if isinstance(v, (bytes, bytearray)):
        v = bytes(v)
        return {"bytes": v.hex()} if len(v) < 200 else {"bytes": hashlib.sha1(v).hexdigest(), "length": len(v)}
    if isinstance(v, str) and len(v) > 200:
        return {"text": hashlib.sha1(v.encode("utf-8", "surrogateescape")).hexdigest(), "length": len(v)}
    if v is None or isinstance(v, (str, int)):
        return v
    return {type(v).__name__: sorted(v) if isinstance(v, set) else str(v)}


def argument(v):
    if isinstance(v, dict):
        if "hex" in v:
            return bytes.fromhex(v["hex"])
        if "big" in v:
            return "x" * v["big"]
        return datetime.datetime.fromisoformat(v["time"])
    return v


class Runner:
    def __init__(self, driver, plan):
        self.driver = driver
        self.module = importlib.import_module("pymysql" if driver == "pymysql" else "MySQLdb")
        self.plan = plan
        self.conn = None

    def open(self, how):
        end = self.plan["endpoint"]
        options = {"user": how["user"], "charset": "utf8mb4", "autocommit": True, "connect_timeout": 20}
        if how["password"]:
            options["password"] = how["password"]
        if how["db"]:
            options["database" if self.driver == "pymysql" else "db"] = how["db"]
        if how["via"] == "socket":
            options["unix_socket"] = end["socket"]
        else:
            options.update(host=end["host"], port=end["port"])
        if self.driver == "pymysql":
            options["max_allowed_packet"] = 64 << 20
            if how["multi"]:
                options["client_flag"] = importlib.import_module("pymysql.constants.CLIENT").MULTI_STATEMENTS
            if how["tls"] == "on":
                options["ssl"] = {"ca": end["ca"], "check_hostname": False}
            elif how["tls"] == "off":
                options["ssl_disabled"] = True
        else:
            options.pop("autocommit")
            if how["multi"]:
                options["client_flag"] = importlib.import_module("MySQLdb.constants.CLIENT").MULTI_STATEMENTS
            if how["tls"] == "on":
                options["ssl"] = {"ca": end["ca"]}
        conn = self.module.connect(**options)
        if self.driver == "mysqldb":
            conn.autocommit(True)
        return conn

    def error(self, e):
        number = e.args[0] if e.args and isinstance(e.args[0], int) else 0
        return {"err": number, "text": str(e.args[1] if len(e.args) > 1 else e)}

    def results(self, cur):
        found = []
        while True:
            if cur.description:
                meta = [list(d) for d in cur.description]
                if self.driver == "pymysql":
                    for m, f in zip(meta, self.conn._result.fields):
                        m += [f.charsetnr, f.flags, f.length, f.table_name, f.org_name]
                else:
                    for m, f in zip(meta, cur.description_flags):
                        m.append(f)
                rows = [[plain(v) for v in row] for row in cur.fetchall()]
                found.append({"cols": meta, "rows": rows, "count": cur.rowcount})
            else:
                found.append({"affected": cur.rowcount, "id": cur.lastrowid})
            if self.driver == "mysqldb":
                found[-1]["warnings"] = self.conn.warning_count()
            elif self.conn._result:
                found[-1]["warnings"] = self.conn._result.warning_count
            if not cur.nextset():
                return found

    def execute(self, sql, args=None):
        cur = self.conn.cursor()
        found = []
        try:
            cur.execute(sql, args)
            found = self.results(cur)
        except Exception as e:  # a driver may also choke on a value of its own
            found.append(self.error(e))
        try:
            cur.close()
        except Exception as e:
            found.append(self.error(e))
        return found

    def call(self, name, how):
        if name == "ping":
            self.conn.ping()
            return "pong"
        if name == "kill":
            other = self.open(how)
            cur = other.cursor()
            cur.execute(f"KILL {self.conn.thread_id()}")
            other.close()
            try:
                self.conn.cursor().execute("SELECT 'still alive'")
                was = "alive"
            except self.module.Error:
                was = "lost"
            self.conn = self.open(how)
            return was
        return "unsupported"

    def step(self, step, how):
        if not step:
            return "unsupported"
        if "q" in step:
            return self.execute(step["q"].replace("@BIG@", BIG))
        if "p" in step:
            sql = step["p"].replace("%", "%%").replace("?", "%s")
            return [self.execute(args) if isinstance(args, str) else self.execute(sql, [argument(a) for a in args]) for args in step["args"]]
        try:
            if "call" in step:
                return self.call(step["call"], how)
            if "use" in step:
                self.conn.select_db(step["use"])
                return "used"
            if self.driver == "mysqldb":
                self.conn.change_user(step["change_user"]["user"], step["change_user"]["password"] or "", how["db"])
                return "changed"
            return "unsupported"
        except self.module.Error as e:
            return self.error(e)

    def run(self, out):
        for number, case in enumerate(self.plan["cases"]):
            try:
                self.conn = self.open(case["connect"])
                out(number, -1, {"server": self.conn.get_server_info(), "charset": self.conn.character_set_name()})
            except self.module.Error as e:
                out(number, -1, self.error(e))
                continue
            for i, step in enumerate(case["steps"]):
                out(number, i, self.step(step, case["connect"]))
            try:
                self.conn.close()
            except self.module.Error:
                pass


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        plan = json.load(f)

    def out(case, step, got):
        print(json.dumps({"case": case, "step": step, "got": got}, ensure_ascii=True), flush=True)
    Runner(sys.argv[1], plan).run(out)


main()
