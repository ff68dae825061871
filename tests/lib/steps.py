# SPDX-License-Identifier: Apache-2.0
"""The main of a program of steps: each a function that is given what it needs, on servers that it shares with the others.

    if __name__ == "__main__":
        sys.exit(steps.main("route_real", STEPS, Lab, setup))

A step returns None, complaints (a list), or text for its ok line; what it throws is a complaint. Prints `ok name`,
`FAIL name: why` or `skip name: reason`, where name is PROGRAM FLAVOUR STEP.
"""
import argparse
import os
import time
import traceback

import weirlab


class Skip(Exception):
    """Raised by a step that cannot be shown here; its text says why."""


def main(program, steps, lab_of, setup=None, usage=None, more=None):
    """lab_of(rig, options): what a step is given, asked for each; setup of such a one, once for each flavour;
    more(parser): further options. The exit status."""
    parser = argparse.ArgumentParser(usage=usage)
    parser.add_argument("--flavour", choices=("mariadb", "mysql"))
    parser.add_argument("--base", help="directory of a rig of that flavour, which is used and left running")
    parser.add_argument("--long", action="store_true", default=os.environ.get("WEIR_LONG") == "1")
    parser.add_argument("step", nargs="*")
    if more:
        more(parser)
    options = parser.parse_args()
    unknown = set(options.step) - {step.__name__ for step in steps}
    if unknown:
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(step.__name__ for step in steps)}")
    if os.environ.get("WEIR_BUILD") and "WEIR_BIN" not in os.environ:
        os.environ["WEIR_BIN"] = os.path.join(os.environ["WEIR_BUILD"], "weir")
    failed = 0
    for flavour in [options.flavour] if options.flavour else ["mariadb", "mysql"]:
        try:
            with weirlab.Rig(flavour, options.base) as rig:
                if setup:
                    setup(lab_of(rig, options))
                for step in steps:
                    if not options.step or step.__name__ in options.step:
                        if not _run(f"{program} {flavour} {step.__name__}", step, lambda rig=rig: lab_of(rig, options)):
                            failed += 1
                            rig.cluster.up("free")  # a step that ended half-way may have left servers stopped
        except Exception as e:  # the servers did not start
            print(f"FAIL {program} {flavour}: {e!r}"[:600], flush=True)
            failed += 1
    return 1 if failed else 0


def _run(name, step, make_lab):
    begin = time.monotonic()
    try:
        found = step(make_lab())
    except Skip as e:
        print(f"skip {name}: {e}", flush=True)
        return True
    except Exception as e:  # told, and the next step runs
        for line in traceback.format_exc().splitlines():
            print("    " + line)
        found = [repr(e)[:600]]
    if isinstance(found, list) and found:
        for line in found[:25]:
            print(f"    {str(line)[:600]}")
        print(f"FAIL {name}: {len(found)}: {str(found[0])[:600]}".replace("\n", " "), flush=True)
        return False
    note = f"{found}, " if isinstance(found, str) else ""
    print(f"ok {name}  # {note}{time.monotonic() - begin:.0f} s", flush=True)
    return True
