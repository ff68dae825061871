# SPDX-License-Identifier: Apache-2.0
"""run_cli.py mariadb|mysql PLAN: the command-line clients, one process for each case.

With -vvv the client repeats each statement between two rules before what it prints for it; that is
what cuts its output into steps. Prepared statements are left to drivers that have them.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SID_RUN = os.path.join(HERE, "..", "..", "rig", "sid-run")
BIG = "x" * (17 * 1024 * 1024)
RULE = "--------------"


def command(driver, end, how, flavour):
    if driver == "mysql":
        argv = [SID_RUN, "mysql", "--no-defaults", "--column-type-info"]
        if flavour == "mariadb":  # its mysql_native_password is a plugin of the tree
            sid = subprocess.run([SID_RUN, "--dir"], check=True, capture_output=True, text=True).stdout.strip()
            argv.append(f"--plugin-dir={sid}/usr/lib/mysql/plugin")
        argv += {"on": ["--ssl-mode=REQUIRED"], "off": ["--ssl-mode=DISABLED", "--get-server-public-key"],
                 "default": []}[how["tls"]]
    else:
        # line by line, or its errors come before the statements that made them
        argv = ["stdbuf", "-oL", "mariadb", "--no-defaults", "--column-type-info", "--comments"]
        argv += {"on": [f"--ssl-ca={end['ca']}"], "off": ["--skip-ssl"], "default": []}[how["tls"]]
    argv += ["-u", how["user"], "-f", "-n", "-vvv", "--default-character-set=utf8mb4",
             "--max-allowed-packet=64M", "--connect-timeout=20"]
    if how["via"] == "socket":
        argv += ["-S", end["socket"]]
    else:
        argv += ["-h", end["host"], "-P", str(end["port"]), "--protocol=tcp"]
    return argv + ([how["db"]] if how["db"] else [])


def statement(step):
    if "q" in step:
        text = step["q"].replace("@BIG@", BIG)
        if text.startswith("USE "):
            text = "/* sent as it is */ " + text  # else a command of the client, which is not repeated
        return f"delimiter //\n{text}//\ndelimiter ;\n" if step.get("multi") else text + "\n;\n"
    if step.get("use"):
        return f"/* sent as it is */ USE {step['use']};\n"
    return ""


def normal(text):
    text = re.sub(r" \((\d+ hours? |\d+ min )?\d+\.\d+ sec\)", "", text)
    text = re.sub(r"at line \d+", "at line N", text)
    lines = [line if len(line) < 400 else f"{hashlib.sha1(line.encode()).hexdigest()} {len(line)}"
             for line in text.splitlines()]
    return [line for line in lines if line.strip()]


def split(output, count):
    """The client's output for each statement, without the statement itself."""
    parts = []
    lines = output.split("\n")
    i = 0
    while i < len(lines):
        if lines[i] == RULE:
            end = lines.index(RULE, i + 1)
            parts.append([])
            i = end + 1
            continue
        if parts:
            parts[-1].append(lines[i])
        elif lines[i].strip():
            parts.append([lines[i]])
        i += 1
    if parts and parts[-1]:
        parts[-1] = [line for line in parts[-1] if line.strip() != "Bye"]
    return ["\n".join(p) for p in parts] + [""] * (count - len(parts))


def result(text):
    got = {"text": normal(text)}
    m = re.search(r"^ERROR (\d+)", text, re.M)
    if m:
        got["err"] = int(m.group(1))
    return got


def main():
    driver = sys.argv[1]
    with open(sys.argv[2], encoding="utf-8") as f:
        plan = json.load(f)

    def out(case, step, got):
        print(json.dumps({"case": case, "step": step, "got": got}), flush=True)
    for number, case in enumerate(plan["cases"]):
        how = case["connect"]
        doing = [(i, s) for i, s in enumerate(case["steps"]) if statement(s)]
        script = "".join(statement(s) for _, s in doing) or "DO 0;\n"
        done = subprocess.run(command(driver, plan["endpoint"], how, plan["flavour"]), input=script.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
                              env={**os.environ, "MYSQL_PWD": how["password"] or ""})
        output = done.stdout.decode("utf-8", "replace")
        first = re.match(r"(mysql: )?(\[.*\n)?.*ERROR (\d+)", output)
        if first and RULE not in output:
            out(number, -1, {"err": int(first.group(3)), "text": normal(output)})
            continue
        out(number, -1, "connected")
        for (i, _), text in zip(doing, split(output, len(doing))):
            out(number, i, result(text))


main()
