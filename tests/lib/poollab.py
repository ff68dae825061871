# SPDX-License-Identifier: Apache-2.0
"""A weir whose sessions share few connections, where it can: settings for weirlab.Weir.

    with Weir(rig, **poollab.settings(rig, 1)) as weir: ...      one connection to each server
    size = poollab.size_of(argv_value)                           what the tests' --pool gives

A weir that does not know the section `pool` gives each session connections of its own; the limit
is then left out, and the same tests hold. WEIR_POOL=own does that with one that knows it.
"""
import argparse
import functools
import os
import subprocess
import tempfile
import time
import traceback

import weirlab

CONF = """
listeners: [{address: "127.0.0.1:3310"}]
servers: [{name: db1, address: "127.0.0.1:3306"}]
monitor: {user: m, password: p}
pool: {wait: 10s}
"""
USERS = {"mariadb": ["server", "passthrough"], "mysql": ["passthrough"]}


@functools.cache
def knows_pool(binary=None):
    """Does this weir take the section `pool`?"""
    if os.environ.get("WEIR_POOL") == "own":
        return False
    with tempfile.TemporaryDirectory(prefix="weir-") as d:
        path = os.path.join(d, "weir.yaml")
        with open(path, "w", encoding="ascii") as f:
            os.chmod(path, 0o600)
            f.write(CONF)
        done = subprocess.run([binary or weirlab.weir_binary(), "check", path], capture_output=True, text=True, check=False)
        return done.returncode == 0


def settings(rig, size, binary=None, pool=None, **more):
    """size: connections to each server, 0 for no limit; pool: settings of that section."""
    found = {"users": {"source": USERS[rig.flavour]}, "drain": {"timeout": "2s"},
             "servers": [{"name": n.name, "address": f"127.0.0.1:{n.port}"} for n in rig.nodes]}
    if knows_pool(binary):
        found["pool"] = {"wait": "10s", **(pool or {})}
        if size:
            for server in found["servers"]:
                server["max_connections"] = size
    return weirlab.merge(found, more)


def connections(node, users=("demo",)):
    """How many connections of these users a server counts."""
    names = ",".join(f"'{u}'" for u in users)
    return int(node.rows(f"SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER IN ({names})")[0]["n"])


def describe(binary, size):
    return f"{size or 'any number of'} connections a server, shared" if knows_pool(binary) else "each session its own connections"


class Skip(Exception):
    """Raised by a step that cannot be shown here; its text says why."""


class Lab:
    """One flavour's servers, and what a step of a *_real program needs."""

    def __init__(self, rig, size, is_long):
        self.rig, self.size, self.is_long = rig, size, is_long
        self.flavour = rig.flavour
        self.user, self.password = rig.env["DB_USER"], rig.env["DB_PASSWORD"]
        self.other, self.other_password = rig.env["AUTH_USERS"].split(",")[0], rig.env["AUTH_PASSWORD"]

    def weir(self, size=None, pool=None, **more):
        """size: connections to each server, unless --pool said another number."""
        return weirlab.Weir(self.rig, **settings(self.rig, self.size if self.size is not None else size, None, pool, **more))

    def raw(self, port, other=False, **options):
        import rawclient
        options.setdefault("database", "test")
        options.setdefault("timeout", 25)
        who = (self.other, self.other_password) if other else (self.user, self.password)
        return rawclient.Raw("127.0.0.1", port, *who, **options)


def run_steps(program, steps, setup=None):
    """The main of a *_real program: ok and FAIL lines for each step and flavour; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--flavour", choices=("mariadb", "mysql"))
    parser.add_argument("--base", help="a rig that is there (DIR/rig-FLAVOUR), and stays")
    parser.add_argument("--pool", type=int, help="connections to each server instead of what each step takes; 0: no limit")
    parser.add_argument("--long", action="store_true", default=os.environ.get("WEIR_LONG") == "1")
    parser.add_argument("step", nargs="*")
    options = parser.parse_args()
    if os.environ.get("WEIR_BUILD") and "WEIR_BIN" not in os.environ:
        os.environ["WEIR_BIN"] = os.path.join(os.environ["WEIR_BUILD"], "weir")
    failed = 0
    for flavour in [options.flavour] if options.flavour else ["mariadb", "mysql"]:
        try:
            with weirlab.Rig(flavour, base=options.base and os.path.join(options.base, f"diffrig-{flavour}")) as rig:
                lab = Lab(rig, options.pool, options.long)
                if setup:
                    setup(lab)
                for step in steps:
                    if not options.step or step.__name__ in options.step:
                        failed += _run_step(f"{program} {flavour} {step.__name__}", step, lab)
        except Exception as e:  # the servers did not start
            print(f"FAIL {program} {flavour}: {e!r}"[:600], flush=True)
            failed += 1
    return 1 if failed else 0


def _run_step(name, step, lab):
    """A step returns None, complaints, or text for the ok line."""
    begin = time.monotonic()
    try:
        found = step(lab)
    except Skip as e:
        print(f"skip {name}: {e}", flush=True)
        return 0
    except Exception as e:  # told, and the next step runs
        for line in traceback.format_exc().splitlines():
            print("    " + line)
        found = [f"{e!r}"[:600]]
    if isinstance(found, list) and found:
        for line in found[:25]:
            print(f"    {str(line)[:600]}")
        print(f"FAIL {name}: {len(found)}: {str(found[0])[:300]}", flush=True)
        return 1
    note = f"{found}, " if isinstance(found, str) else ""
    print(f"ok {name}  # {note}{time.monotonic() - begin:.0f} s", flush=True)
    return 0
