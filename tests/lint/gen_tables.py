#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents that are made from the lists in headers.

    tests/lint/gen_tables.py           write them
    tests/lint/gen_tables.py --check   exit 1 when a committed one differs

conf/weir.yaml, the tables of conf/README.md and the fuzzer's words come from include/weir/config/schema.h. A table
stands between "<!-- table: NAME -->" and "<!-- end -->".
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = "include/weir/config/schema.h"

# What to show for a setting that has no default. None of these is ever read by weir.
EXAMPLES = {
    "functions.replica": "[app.price_of, app.tax, my_loadable]",
    "functions.primary": "[app.next_number]",
    "tls.cert": "/etc/weir/server-cert.pem",
    "tls.key": "/etc/weir/server-key.pem",
    "tls.ca": "/etc/weir/ca.pem",
    "users.list[].name": "app",
    "users.list[].password": '"in the clear"',
    "users.list[].password_file": "/etc/weir/app.password",
    "users.list[].password_env": "APP_PASSWORD",
    "users.list[].password_hash": '"*0123456789ABCDEF0123456789ABCDEF01234567"',
    "servers[].tls_ca": "/etc/weir/ca.pem",
    "servers[].tls_server_name": "db1.example.com",
    "monitor.password": '"in the clear"',
    "monitor.password_env": "WEIR_MONITOR_PASSWORD",
    "monitor.heartbeat": "percona.heartbeat",
    "admin.users[].name": "ops",
    "admin.users[].role": "operate",
    "admin.users[].password": '"in the clear"',
    "admin.users[].password_file": "/etc/weir/ops.password",
    "admin.users[].password_env": "WEIR_ADMIN_PASSWORD",
    "admin.users[].password_hash": '"*0123456789ABCDEF0123456789ABCDEF01234567"',
    "redis.user": "weir",
    "redis.password": '"in the clear"',
    "redis.password_file": "/etc/weir/redis.password",
    "redis.password_env": "WEIR_REDIS_PASSWORD",
    "redis.tls_ca": "/etc/weir/ca.pem",
    "redis.tls_server_name": "redis.example.com",
    "redis.secret": '"in the clear"',
    "redis.secret_file": "/etc/weir/redis.secret",
    "redis.secret_env": "WEIR_REDIS_SECRET",
    "log.file": "/var/log/weir/weir.log",
    "rules[].name": "reports",
    "rules[].digest": '"0123456789abcdef"',
    "rules[].table": '[shop.orders, "audit_*"]',
    "rules[].schema": "shop",
    "rules[].user": "[app, batch]",
    "rules[].client": '[10.0.0.0/8, "fd00::/8", unix]',
    "rules[].class": "read",
    "rules[].match": "'^SELECT .* FROM reports'",
    "rules[].match_caseless": "true",
    "rules[].route": "server db2",
    "rules[].max_lag": "60s",
    "rules[].read_after_write": "off",
    "rules[].timeout": "30s",
    "rules[].deny": '"not on this server"',
    "rules[].cache": "5m",
    "rules[].cache_coherence": "own",
    "rules[].cache_scope": "row",
    "rules[].cache_share": "shop",
    "rules[].cache_max_entry": "256KiB",
    "rules[].cache_stale_while_revalidate": "10s",
    "rules[].cache_stale_if_error": "1h",
    "rules[].cache_tags": '["device:{device_id}", devices]',
    "rules[].cache_purge": '["device:{device_id}:*"]',
    "rules[].cache_refresh": '["device:{device_id}:*"]',
    "rules[].log": "true",
}
# What is written out, not commented, so that the file works once the names are right.
LIVE = {
    "listeners[].address": ["127.0.0.1:3310"],
    "servers[].name": ["db1", "db2"],
    "servers[].address": ["10.0.0.1:3306", "10.0.0.2:3306"],
    "monitor.user": ["weir_monitor"],
    "monitor.password_file": ["/etc/weir/monitor.password"],
}
HEAD = """\
# weir's configuration. Made from the list of settings by tests/lint/gen_tables.py.
#
# A line that begins with "#" and a word shows a setting with its default; take the "#" away to
# change it. "# example" behind it: there is no default. weir check FILE tells what is wrong, with
# line and column, and changes nothing.
# Times: 250ms 5s 5m 2h. Sizes: 512B 64KiB 64MiB 1GiB. Relative file names start at the directory
# of this file.
"""


def macros(source):
    """The values of #define NAME "text"."""
    joined = source.replace("\\\n", " ")
    return {m[1]: m[2] for m in re.finditer(r'^#define (\w+) +((?:"[^"]*" *)+)$', joined, re.M)}


WORDS = macros((ROOT / SCHEMA).read_text())


def c_text(argument):
    """The value of a C string literal, several of them joined, macros replaced."""
    for name, value in WORDS.items():
        argument = re.sub(r"\b%s\b" % name, lambda _, v=value: v, argument)
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', argument)
    return "".join(parts).replace('\\"', '"').replace("\\\\", "\\")


def entries(source, macro):
    """The arguments of each X(...) of one list."""
    start = source.index("#define %s(X)" % macro)
    body = source[start:].replace("\\\n", " ")
    body = body[: body.index("\n")]
    at = body.index("(X)") + 3
    found = []
    while True:
        at = body.find("X(", at)
        if at < 0:
            return found
        at += 2
        args, depth, quoted, begin = [], 0, False, at
        while True:
            c = body[at]
            if quoted:
                if c == "\\":
                    at += 1
                elif c == '"':
                    quoted = False
            elif c == '"':
                quoted = True
            elif c in "([":
                depth += 1
            elif c in ")]":
                if depth == 0 and c == ")":
                    args.append(body[begin:at].strip())
                    break
                depth -= 1
            elif c == "," and depth == 0:
                args.append(body[begin:at].strip())
                begin = at + 1
            at += 1
        found.append(args)


class Setting:
    def __init__(self, args):
        self.path, self.type = c_text(args[0]), args[1]
        self.default, self.min, self.max = c_text(args[4]), int(args[5]), int(args[6])
        self.unit, self.help = c_text(args[7]), c_text(args[8])
        self.word = self.path.split(".")[-1]

    def show(self, value):
        units = {
            "DURATION": [("d", 86400000000), ("h", 3600000000), ("m", 60000000),
                         ("s", 1000000), ("ms", 1000), ("us", 1)],
            "SIZE": [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)],
        }
        units["LARGE"] = units["SIZE"]
        if value == 0 or self.type not in units:
            return str(value)
        return next("%d%s" % (value // f, u) for u, f in units[self.type] if value % f == 0)

    def allowed(self):
        if self.type in ("ENUM", "SOURCES") or (self.type == "WORDS" and "|" in self.unit):
            return ", ".join(self.unit.split("|"))
        if self.type == "BOOL":
            return "true, false"
        if self.type in ("COUNT", "DURATION", "SIZE", "LARGE"):
            text = "%s to %s" % (self.show(self.min), self.show(self.max))
            if self.type == "COUNT":
                text += " " + self.unit if self.unit != "%" else " %"
            if self.default in ("auto", "off"):
                text += ", or " + self.default
            if self.type == "DURATION" and "|" in self.unit:
                text += ", or " + self.unit.split("|")[1]
            return text
        return {"ADDRESS": "address", "PATH": "file name", "SECRET_FILE": "file name",
                "SECRET_ENV": "variable name", "NAME": "name", "WORDS": "one or a list",
                "FUNCTIONS": "names",
                "REGEX": "regular expression", "ROUTE": "primary, replica, server NAME"}.get(self.type, "text")


def is_reloadable(path, known):
    """As schema_is_reloadable() of src/config/schema.c."""
    return any(path == k or (k[-1] in ".]" and path.startswith(k) and "[" not in path[len(k):]) for k in known)


def read_schema():
    source = (ROOT / SCHEMA).read_text()
    settings = [Setting(a) for a in entries(source, "CONFIG_SETTINGS")]
    sections = {c_text(a[0]): c_text(a[1]) for a in entries(source, "CONFIG_SECTIONS")}
    lists = {c_text(a[0]): c_text(a[5]) for a in entries(source, "CONFIG_LISTS")}
    return settings, sections, lists


def quoted(setting, value):
    """A value as the file would have it."""
    if setting.type == "ADDRESS" and value.startswith("["):
        return '"%s"' % value
    return value


def wrapped(text, indent):
    out, line = [], ""
    for word in text.split():
        if line and len(indent) + 2 + len(line) + 1 + len(word) > 96:
            out.append("%s# %s" % (indent, line))
            line = word
        else:
            line = (line + " " + word).strip()
    out.append("%s# %s" % (indent, line))
    return out


def yaml_setting(s, indent, first):
    """Help, then the setting: live, or commented with its default or an example."""
    said = "%s (%s)" % (s.help, s.allowed()) if s.type not in (
        "PATH", "ADDRESS", "SECRET", "SECRET_FILE", "SECRET_ENV", "USER", "STRING", "NAME",
        "NATIVE_HASH") else s.help
    out = wrapped(said, indent + "  " if first else indent)
    lead = indent + "- " if first else indent
    if s.path in LIVE:
        out.append("%s%s: %s" % (lead, s.word, quoted(s, LIVE[s.path][0])))
    elif s.default not in ("", "-"):
        out.append("%s#%s: %s" % (lead, s.word, quoted(s, s.default)))
    else:
        out.append("%s#%s: %s # example" % (lead, s.word, EXAMPLES[s.path]))
    return out


def yaml_list(name, settings, comment):
    """A list with an example element; commented as a whole when nothing in it is live."""
    inner = [s for s in settings if s.path.startswith(name + "[].")]
    depth = name.count(".")
    live = any(s.path in LIVE for s in inner)
    indent = "  " * depth
    out = wrapped(comment, indent)
    if not live:
        out.append("%s#%s: # example" % (indent, name.split(".")[-1]))
        for i, s in enumerate(inner):
            lead = "%s#  %s" % (indent, "- " if i == 0 else "  ")
            out += wrapped(s.help, indent)
            out.append("%s%s: %s # example" % (lead, s.word, EXAMPLES[s.path]))
        return out
    out.append("%s%s:" % (indent, name.split(".")[-1]))
    for i, s in enumerate(inner):
        out += yaml_setting(s, indent + ("  " if i == 0 else "    "), i == 0)
    others = max(len(LIVE.get(s.path, [])) for s in inner)
    for k in range(1, others):
        given = [s for s in inner if len(LIVE.get(s.path, [])) > k]
        for i, s in enumerate(given):
            lead = indent + ("  - " if i == 0 else "    ")
            out.append("%s%s: %s" % (lead, s.word, LIVE[s.path][k]))
    return out


def make_yaml():
    settings, sections, lists = read_schema()
    out = HEAD.rstrip("\n").split("\n")
    for s in settings:
        if "." not in s.path:
            out += [""] + yaml_setting(s, "", False)
    for name, text in lists.items():
        if "." not in name:
            out += [""] + yaml_list(name, settings, text)
    for name, text in sections.items():
        out += [""] + wrapped(text, "") + ["%s:" % name]
        for s in settings:
            if s.path.startswith(name + ".") and "[" not in s.path:
                out += yaml_setting(s, "  ", False)
        for inner, comment in lists.items():
            if inner.startswith(name + "."):
                out += yaml_list(inner, settings, comment)
    return "\n".join(out) + "\n"


def make_settings_table():
    settings, _, _ = read_schema()
    known = [c_text(a[0]) for a in entries((ROOT / SCHEMA).read_text(), "CONFIG_RELOADABLE")]
    out = ["| setting | default | allowed | change takes a | meaning |", "| --- | --- | --- | --- | --- |"]
    for s in settings:
        default = {"-": "*must be given*", "": "not set"}.get(s.default, "`%s`" % s.default)
        allowed = s.allowed().replace("|", "\\|")
        how = "reload" if is_reloadable(s.path, known) else "restart"
        out.append("| `%s` | %s | %s | %s | %s |" % (s.path, default, allowed, how, s.help))
    return "\n".join(out) + "\n"


def make_dictionary():
    """The words of the file, for the fuzzer."""
    settings, sections, lists = read_schema()
    words = {s.word for s in settings} | set(sections) | {n.split(".")[-1] for n in lists}
    for s in settings:
        if s.type in ("ENUM", "SOURCES", "WORDS"):
            words |= set(s.unit.split("|"))
        if s.default not in ("", "-"):
            words.add(s.default)
    words |= {": ", "- ", "{", "}", "[", "]", ", ", "#", "&a", "*a", "!!int", "<<", "---", "...", "|", ">"}
    head = "# SPDX-License-Identifier: Apache-2.0\n# made by tests/lint/gen_tables.py\n"
    return head + "".join('"%s"\n' % w for w in sorted(words))


TABLES = {"settings": make_settings_table}


def with_tables(text):
    def fill(match):
        return match.group(1) + TABLES[match.group(2)]() + match.group(3)

    names = "|".join(TABLES)
    return re.sub(r"(<!-- table: (%s) -->\n).*?(<!-- end -->)" % names, fill, text, flags=re.S)


def documents():
    yield "conf/weir.yaml", make_yaml()
    yield "tests/fuzz/dict/yaml.dict", make_dictionary()
    for name in ("conf/README.md",):
        path = ROOT / name
        if path.exists():
            yield name, with_tables(path.read_text())


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for name, text in documents():
        path = ROOT / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    for name in stale:
        print("%s %s" % (name, "differs from its list; run tests/lint/gen_tables.py" if check
                         else "written"))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
