# SPDX-License-Identifier: Apache-2.0
"""The driver suite: suite.yaml run by every driver, straight to the primary and through weir.

A plan is what a runner gets: the endpoint, and the cases with users, passwords and flavour filled
in. A runner prints a JSON line for each connection (step -1) and each step: case, step, got. The
same driver runs the same plan against both endpoints, so whatever a driver makes of a value, an
error or a column must come out twice the same.
"""
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
import rigserver  # noqa: E402
from weirlab import StatementLog, wait_for  # noqa: E402

DRIVERS = ("pymysql", "mysqldb", "node-mysql2", "node-mariadb", "php-mysqli", "php-pdo", "go",
           "cli-mariadb", "cli-mysql")
PLAIN = " /* plain */"
SESSIONS = "weir_sessions_accepted_total"
TOO_OLD = "weir_reads_fallback_total"
RUNNER_SECONDS = 240


def for_flavour(value, flavour):
    return value.get(flavour) if isinstance(value, dict) else value


class Suite:
    def __init__(self, rig, name="suite.yaml"):
        import yaml
        with open(os.path.join(HERE, name), encoding="utf-8") as f:
            raw = yaml.safe_load(f)
        self.rig = rig
        self.flavour = rig.flavour
        self.setup = [s if isinstance(s, str) else s["sql"] for s in raw["setup"]
                      if isinstance(s, str) or s["only"] == self.flavour]
        self.cases = [self._case(c) for c in raw["cases"] if c.get("only", self.flavour) == self.flavour]

    def _password(self, word):
        return {"DB": self.rig.env["DB_PASSWORD"], "AUTH": self.rig.env["AUTH_PASSWORD"],
                "wrong": "not-the-password", "empty": ""}[word]

    def _case(self, case):
        how = case.get("connect", {})
        user = how.get("user", "DB")
        db = how.get("db", "test")
        connect = {"user": self.rig.env["DB_USER"] if user == "DB" else user,
                   "password": self._password(how.get("password", "DB")),
                   "db": "" if db == "none" else db, "tls": how.get("tls", "default"),
                   "via": how.get("via", "tcp"), "multi": how.get("multi", False)}
        steps = []
        for step in case.get("steps", []):
            if step.get("only", self.flavour) != self.flavour:
                continue
            for word in step.get("each", [None]):
                steps.append(self._step(step, word, case.get("tx", False)))
        return {"name": case["name"], "connect": connect, "steps": steps,
                "err": for_flavour(how.get("err"), self.flavour),
                "known": case.get("known", {}).get(self.flavour, {})}

    def _step(self, step, word, is_tx):
        one = copy.deepcopy({k: v for k, v in step.items() if k not in ("each", "only")})
        for kind in ("q", "p"):
            if kind in one:
                if word is not None:
                    one[kind] = one[kind].replace("{}", word)
                first = one[kind].lstrip("( ").split()[0].upper()
                one["plain"] = (first in ("SELECT", "WITH") and not is_tx
                                and not {"state", "err", "multi"} & one.keys())
                if one["plain"]:
                    one[kind] += PLAIN
        if "err" in one:
            one["err"] = for_flavour(one["err"], self.flavour)
        if "change_user" in one:
            one["change_user"] = {"user": for_flavour(one["change_user"], self.flavour),
                                  "password": self._password("AUTH")}
        return one

    def prepare(self):
        """The same data before each run, on all servers."""
        with self.rig.connect(0, database="test") as c, c.cursor() as cur:
            for sql in self.setup:
                cur.execute(sql)
        self.rig.settle()

    def label(self, case, step):
        c = self.cases[case]
        if step < 0:
            return f"{c['name']}: connect"
        s = c["steps"][step]
        return f"{c['name']}: {s.get('q') or s.get('p') or s.get('batch') or s.get('call') or s.get('use') or 'change user'}"[:160]

    def warm(self, endpoint):
        """One login of each user: what a driver can do may depend on the server's login cache."""
        import pymysql
        users = [(self.rig.env["DB_USER"], self.rig.env["DB_PASSWORD"])]
        users += [(c["connect"]["user"], c["connect"]["password"]) for c in self.cases if c["err"] is None]
        for user, password in sorted(set(users)):
            pymysql.connect(host=endpoint["host"], port=endpoint["port"], user=user, password=password,
                            connect_timeout=20).close()

    def wait_known(self, weir):
        """Until weir's catalogue has the tables that were made behind its back."""
        names = [next(iter(r.values())) for r in self.rig.primary.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'test' "
            "AND table_name LIKE 's\\_%%'")]
        with weir.connect(database="test") as c:
            for name in names:
                wait_for(f"weir knows {name}", lambda n=name: "target\treplica" in weir.explain(
                    f"SELECT 1 FROM {n}", c), 30, 0.1)

    def readers(self):
        """The cases that change nothing: they may run beside anything."""
        return [n for n, c in enumerate(self.cases)
                if c["err"] is None and c["steps"] and not c["known"] and all(s.get("plain") and not s.get("mask") for s in c["steps"])]

    def run(self, driver, endpoint, only=None):
        """{(case, step): got} of one runner; only: numbers of cases."""
        numbers = list(range(len(self.cases))) if only is None else only
        with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="weir-plan-") as f:
            cases = [{**self.cases[n], "steps": [{} if driver in s.get("except", ()) else s for s in self.cases[n]["steps"]]} for n in numbers]
            json.dump({"endpoint": endpoint, "flavour": self.flavour, "cases": cases}, f)
            f.flush()
            done = subprocess.run([*command(driver), f.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=environment(driver), timeout=RUNNER_SECONDS, check=False)
        found = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            try:
                one = json.loads(line)
            except ValueError as e:
                raise RuntimeError(f"{driver} printed {line[:200]!r}") from e
            found[(numbers[one["case"]], one["step"])] = one["got"]
        if done.returncode:
            raise RuntimeError(f"{driver} ended with {done.returncode}: {done.stderr.decode()[-800:]}")
        return found

    def expectations(self, found):
        """What the suite itself says of the results, whoever gave them; a list of complaints."""
        wrong = []
        for number, case in enumerate(self.cases):
            got = found.get((number, -1))
            if got is None:
                wrong.append(f"{case['name']}: no result")
                continue
            number_of = errors(got)
            if case["err"] is not None and not wanted(case["err"]) & number_of:
                wrong.append(f"{case['name']}: expected error {case['err']} at login, got {str(got)[:200]}")
            if case["err"] is None and number_of:
                wrong.append(f"{case['name']}: login failed: {str(got)[:200]}")
            if case["err"] is not None or number_of:
                continue
            for i, step in enumerate(case["steps"]):
                if (number, i) not in found:
                    if "p" not in step and "call" not in step and "change_user" not in step:
                        wrong.append(f"{self.label(number, i)}: no result")
                    continue
                number_of = errors(found[(number, i)])
                want = step.get("err")
                if want is None and number_of and not step.get("lenient"):
                    wrong.append(f"{self.label(number, i)}: error {str(found[(number, i)])[:200]}")
                if want is not None and not wanted(want) & number_of and found[(number, i)] != "unsupported":
                    wrong.append(f"{self.label(number, i)}: expected error {want}, "
                                 f"got {str(found[(number, i)])[:200]}")
        return wrong

    def differences(self, direct, other, driver=""):
        """Complaints; for cases known to differ with this driver only when they do not."""
        wrong = []
        seen = set()
        for key in sorted(set(direct) | set(other)):
            complaint = self.difference(key, direct.get(key), other.get(key))
            if complaint and driver in self.cases[key[0]]["known"]:
                seen.add(key[0])
            elif complaint:
                wrong.append(complaint)
        wrong += [f"{c['name']}: known to differ with {driver}, and is equal now" for i, c in enumerate(self.cases)
                  if i not in seen and not c["known"].get(driver, "sometimes").startswith("sometimes")]
        return wrong

    def difference(self, key, a, b):
        """What differs in the results of one step, or None."""
        if key[1] >= 0 and self.cases[key[0]]["steps"][key[1]].get("mask"):
            a, b = shape(a), shape(b)
        if key[1] >= 0 and self.cases[key[0]]["steps"][key[1]].get("values"):
            a, b = values(a), values(b)
        return None if a == b else f"{self.label(*key)}\n      direct {short(a, b)}\n      weir   {short(b, a)}"

    def known(self, driver):
        return [f"{c['name']}: {c['known'][driver]}" for c in self.cases if driver in c["known"]]


def errors(got):
    """All error numbers in a result, however deep."""
    if isinstance(got, dict):
        return {got["err"]} if "err" in got else set()
    if isinstance(got, list):
        return set().union(*(errors(g) for g in got)) if got else set()
    return set()


def wanted(err):
    return set(err) if isinstance(err, list) else {err}


def shape(got):
    """A result without its values."""
    if isinstance(got, dict):
        return {k: shape(v) for k, v in got.items() if k != "text"}
    if isinstance(got, list):
        return [shape(g) for g in got]
    return type(got).__name__


def values(got):
    """Only the rows of a result; of a command-line client's output the lines of the table."""
    if isinstance(got, dict):
        return got.get("rows") or [line for line in got.get("text", []) if line.startswith("|")] or got
    return [values(g) for g in got]


def short(a, b):
    """A result from shortly before the place where it differs from the other."""
    a, b = json.dumps(a, ensure_ascii=False), json.dumps(b, ensure_ascii=False)
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return ("..." if at > 60 else "") + a[max(0, at - 60):at + 140]


def node_modules():
    """The npm drivers at the versions of the lock file, installed outside the repository."""
    source = os.path.join(HERE, "drivers")
    with open(os.path.join(source, "package-lock.json"), "rb") as f:
        where = os.path.join(rigserver.cache_dir(), "npm-" + hashlib.sha256(f.read()).hexdigest()[:12])
    if not os.path.exists(os.path.join(where, "ready")):
        os.makedirs(where, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(source, name), where)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=where, check=True,
                       stdout=subprocess.DEVNULL)
        with open(os.path.join(where, "ready"), "w", encoding="utf-8"):
            pass
    return os.path.join(where, "node_modules")


def go_program():
    """The Go runner, built against Debian's own copy of the driver."""
    source = os.path.join(HERE, "drivers", "run_go.go")
    with open(source, "rb") as f:
        where = os.path.join(rigserver.cache_dir(), "run_go-" + hashlib.sha256(f.read()).hexdigest()[:12])
    if not os.path.exists(where):
        env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
               "GOCACHE": os.path.join(rigserver.cache_dir(), "go-build")}
        subprocess.run(["go", "build", "-o", f"{where}.{os.getpid()}", source], check=True, env=env, cwd="/")
        os.rename(f"{where}.{os.getpid()}", where)
    return where


def command(driver):
    runner = os.path.join(HERE, "drivers", "run_")
    kind, _, name = driver.partition("-")
    if kind == "node":
        return ["node", runner + "node.js", name]
    if kind == "php":
        return ["php", runner + "php.php", name]
    if kind == "cli":
        return ["/usr/bin/python3", "-B", runner + "cli.py", name]
    if kind == "go":
        return [go_program()]
    return ["/usr/bin/python3", "-B", runner + "python.py", driver]


def environment(driver):
    env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    if driver.startswith("node-"):
        env["NODE_PATH"] = node_modules()
    return env


def direct_endpoint(rig):
    return {"host": "127.0.0.1", "port": rig.port(0), "socket": os.path.join(rig.base, "direct.sock"),
            "ca": rig.env["SERVER_CA"]}


class Passage:
    """The primary's unix socket at a place that drivers may reach.

    The server's own lies in a directory that only its owner enters, which root is: a symbolic link
    is all that is needed there.
    """

    def __init__(self, rig):
        self.path = os.path.join(rig.base, "direct.sock")
        self.target = rig.primary.socket

    def __enter__(self):
        if os.path.islink(self.path):
            os.unlink(self.path)
        os.symlink(self.target, self.path)
        return self

    def __exit__(self, *exc):
        os.unlink(self.path)


def plain_share(entries):
    """(on replicas, in all) of the statements marked as plain SELECTs, as the servers logged them."""
    count = {name: sum(1 for _, kind, text in seen if kind in ("Query", "Execute") and PLAIN.strip() in text)
             for name, seen in entries.items()}
    return sum(n for name, n in count.items() if name != "primary"), sum(count.values())


def twice(rig, drivers, say):
    """The runners' own proof: the same list straight to the primary, two times, must be equal."""
    suite = Suite(rig)
    bad = 0
    with Passage(rig):
        for driver in drivers:
            found = []
            for _ in range(2):
                suite.prepare()
                suite.warm(direct_endpoint(rig))
                found.append(suite.run(driver, direct_endpoint(rig)))
            bad += say(driver, suite.expectations(found[0]) + suite.differences(*found), len(found[0]))
    return bad


class Beside(threading.Thread):
    """The same driver's reading cases through the same weir, again and again while the block runs."""

    def __init__(self, suite, driver, endpoint, direct):
        super().__init__()
        self.suite, self.driver, self.endpoint, self.direct = suite, driver, endpoint, direct
        self.over, self.wrong, self.rounds = threading.Event(), [], 0

    def run(self):
        only = self.suite.readers()
        try:
            while self.rounds == 0 or not self.over.is_set():
                found = self.suite.run(self.driver, self.endpoint, only)
                self.rounds += 1
                for key in sorted(k for k in set(found) | set(self.direct) if k[0] in only):
                    complaint = self.suite.difference(key, self.direct.get(key), found.get(key))
                    if complaint:
                        self.wrong.append(f"beside: {complaint}")
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            self.wrong.append(f"beside: {e}")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


def through(rig, weir, drivers, say, is_cached=False):
    """Direct and through weir: equal results, and the reads where they belong.

    weir has few connections to each server. The driver runs twice at once there, so that the cases
    have connections that others have had and have to wait for them. is_cached: weir answers reads itself where it can, and only
    results count.
    """
    suite = Suite(rig)
    bad = 0
    users = [rig.env["DB_USER"], *rig.env["AUTH_USERS"].split(",")]
    with Passage(rig):
        for driver in drivers:
            suite.prepare()
            suite.warm(direct_endpoint(rig))
            direct = suite.run(driver, direct_endpoint(rig))
            for tries_left in (2, 1, 0):
                suite.prepare()
                suite.warm(weir.endpoint())
                suite.wait_known(weir)
                before, excused_before = (weir.metrics()[name] for name in (SESSIONS, TOO_OLD))
                with StatementLog(rig.nodes, users) as log:
                    with Beside(suite, driver, weir.endpoint(), direct) as beside:
                        other = suite.run(driver, weir.endpoint())
                    on_replicas, in_all = plain_share(log.entries())
                    opened = sum(kind == "Connect" for *_, kind, _ in log.lines())
                sessions, excused = (int(weir.metrics()[name] - then)
                                     for name, then in ((SESSIONS, before), (TOO_OLD, excused_before)))
                wrong = suite.expectations(direct) + suite.differences(direct, other, driver) + beside.wrong
                shares = []
                # the window behind a write is as long as the replicas are late: a slow disk makes it long
                if not is_cached and (in_all == 0 or on_replicas < 0.5 * in_all or on_replicas + excused < 0.8 * in_all):
                    shares.append(f"only {on_replicas} of {in_all} plain SELECTs were executed by replicas, "
                                  f"{excused} were too near to a write")
                if opened * 4 > sessions * 3:
                    shares.append(f"{sessions} sessions opened {opened} connections to servers: they did not share")
                if wrong or not shares or not tries_left:
                    break  # a replica that a busy machine has made late for a moment is no fault; results are
            wrong += shares
            bad += say(driver, wrong, len(direct), f"{on_replicas}/{in_all} plain SELECTs on replicas, {beside.rounds} times beside, "
                       f"{sessions} sessions opened {opened} connections", suite.known(driver))
    return bad
