# SPDX-License-Identifier: Apache-2.0
"""Fixture for the toxic TCP proxy (fault.c has the faults and their keys).

    with Fault(server_port) as fault:       several ports: connections by turns
        connect to fault.port
        fault.add("late", "latency", "down", ms=200)
        fault.remove("late"); fault.down(); fault.up(); fault.reset()

The program comes from the build (target fault) or, when that has none, is compiled on the spot.
"""
import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def compile_into(directory, *flags):
    made = os.path.join(directory, "fault")
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", *flags, "-o", made,
                    os.path.join(HERE, "fault.c"), os.path.join(HERE, "fault_command.c")], check=True)
    return made


class Fault:
    def __init__(self, *upstreams, host="127.0.0.1", seed=1, program=None):
        self.upstreams = [f"{host}:{port}" for port in upstreams]
        self.seed = seed
        self.program = program
        self.scratch = None
        self.process = None
        self.port = None

    def _program(self):
        built = os.path.join(os.environ.get("WEIR_BUILD", os.path.join(HERE, "..", "..", "build")), "fault")
        if self.program or os.path.exists(built):
            return self.program or built
        self.scratch = tempfile.mkdtemp(prefix="weir-fault-", dir="/tmp")
        return compile_into(self.scratch)

    def __enter__(self):
        self.process = subprocess.Popen(
            [self._program(), "--listen", "127.0.0.1:0", *(word for one in self.upstreams for word in ("--upstream", one)), "--seed", str(self.seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline().split()
        if len(first) != 2:
            self.__exit__(None, None, None)
            raise RuntimeError("the toxic proxy did not start")
        self.port = int(first[1])
        return self

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or not lines[-1].startswith(("ok", "err")):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the toxic proxy has died")
            lines.append(line.rstrip("\n"))
        if lines[-1].startswith("err"):
            raise ValueError(f"{text}: {lines[-1]}")
        return lines

    def add(self, name, kind, direction="both", **keys):
        self.command(" ".join(["add", name, kind, direction, *(f"{k}={v}" for k, v in keys.items())]))

    def remove(self, name):
        self.command(f"del {name}")

    def reset(self):
        self.command("reset")

    def down(self):
        self.command("down")

    def up(self):
        self.command("up")

    def list(self):
        return self.command("list")[:-1]

    def stats(self):
        return {k: int(v) for k, v in (pair.split("=") for pair in self.command("stats")[-1].split()[1:])}

    def __exit__(self, kind, value, trace):
        if self.process:
            self.process.stdin.close()  # the program ends with its standard input
            try:
                status = self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
            self.process.stdout.close()
            if kind is None and status:
                raise RuntimeError(f"the toxic proxy ended with {status}")
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
