# SPDX-License-Identifier: Apache-2.0
"""A weir whose sessions share few connections, where it can: settings for weirlab.Weir.

    with Weir(rig, **poollab.settings(rig, 1)) as weir: ...      one connection to each server
    size = poollab.size_of(argv_value)                           what the tests' --pool gives

A weir that does not know the section `pool` gives each session connections of its own; the limit
is then left out, and the same tests hold. WEIR_POOL=own does that with one that knows it.
"""
import functools
import os
import subprocess
import tempfile

import steps
import weirlab
from steps import Skip  # noqa: F401

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


def _pool_option(parser):
    parser.add_argument("--pool", type=int, help="connections to each server instead of what each step takes; 0: no limit")


def run_steps(program, run, setup=None):
    """The main of a program of steps whose lab is the one above; setup is given one, too."""
    labs = {}  # one for all steps of a flavour

    def lab_of(rig, options):
        return labs.setdefault(rig.flavour, Lab(rig, options.pool, options.long))
    return steps.main(program, run, lab_of, setup, more=_pool_option)
