/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broken files: each must be refused with exactly these mistakes, at exactly these places. A
 * file made of the same lines without the mistake is taken (the base case and the near-misses).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "weir/config/config.h"
#include "weir/util/err.h"

#define SERVER  "servers: [{name: a, address: \"h:1\"}]\n"
#define MONITOR "monitor: {user: m, password: x}\n"

struct broken_case {
    const char *text;
    const char *expect[4]; /* "line:column: begin of the text"; all of them, in order */
};

static const struct broken_case cases[] = {
    /* the file as a whole */
    {"", {"0:0: monitor.user is missing", "0:0: servers is missing"}},
    {"# nothing\n", {"0:0: monitor.user is missing", "0:0: servers is missing"}},
    {"---\n", {"0:0: monitor.user is missing", "0:0: servers is missing"}},
    {"hello", {"1:1: expected settings here; write name: value"}},
    {"- a\n- b\n", {"1:1: expected settings here; write name: value"}},
    {SERVER MONITOR "---\nworkers: 2\n", {"3:1: a second document begins here"}},
    /* not YAML */
    {SERVER "monitor:\n\tuser: m\n", {"3:1: a tab in the indentation; use spaces"}},
    {SERVER "monitor:\n  user: m\n \tpassword: x\n", {"4:2: a tab in the indentation"}},
    {SERVER "monitor: {user: m\n", {"3:1: did not find expected"}},
    {SERVER "monitor: \"m\n", {"3:1: found unexpected end of stream"}},
    {SERVER "monitor:\n  user: m\n password: x\n", {"4:2: did not find expected key"}},
    {SERVER MONITOR "tls: {cert: \"a\xff\"}\n", {"3:15: invalid leading UTF-8 octet"}},
    {SERVER MONITOR "tls: {cert: \"a\\0b\"}\n", {"3:13: a NUL character in a value"}},
    /* what a configuration never needs */
    {"servers: &s [{name: a, address: \"h:1\"}]\n" MONITOR, {"1:10: anchors (&)"}},
    {SERVER MONITOR "log: *s\n", {"3:6: anchors (&), aliases (*)"}},
    {SERVER MONITOR "workers: !!int 2\n", {"3:10: anchors (&), aliases (*) and tags (!)"}},
    {SERVER MONITOR "<<: {workers: 2}\n", {"3:1: merging (<<) is not taken"}},
    {SERVER MONITOR "? [a]\n: b\n", {"3:3: a key must be a word"}},
    {SERVER MONITOR "tls: {dir: {a: {b: {c: {d: {e: {f: {g: 1}}}}}}}}\n",
     {"3:36: nested deeper than 8 levels"}},
    /* keys */
    {SERVER MONITOR "worker: 2\n", {"3:1: unknown setting worker; did you mean workers?"}},
    {SERVER MONITOR "wrokers: 2\n", {"3:1: unknown setting wrokers; did you mean workers?"}},
    {SERVER MONITOR "zzz: 2\n", {"3:1: unknown setting zzz; remove it"}},
    {SERVER MONITOR "tls.cert: x\n", {"3:1: unknown setting tls.cert; write one level per line"}},
    {SERVER MONITOR "servers[].name: x\n", {"3:1: unknown setting servers[].name; "}},
    {SERVER MONITOR "max_lag: 5s\n",
     {"3:1: unknown setting max_lag; did you mean monitor.max_lag?"}},
    {SERVER MONITOR "cloudwatch: {}\nalarms: {}\n",
     {"3:1: cloudwatch is not in this version of weir", "4:1: alarms is not in"}},
    /* the cache */
    {SERVER MONITOR "cache: {memory: 1023KiB}\n",
     {"3:17: cache.memory is 1023KiB; write 1MiB or more"}},
    {SERVER MONITOR "cache: {memory: 1025GiB}\n",
     {"3:17: cache.memory is 1025GiB; write 1TiB or less"}},
    {SERVER MONITOR "cache: {memory: on}\n",
     {"3:17: cache.memory is \"on\"; write a size with its unit"}},
    {SERVER MONITOR "cache: {memory: 2MiB, max_entry: 4MiB}\n",
     {"3:34: cache.max_entry is above cache.memory"}},
    {SERVER MONITOR "cache: {memory: 2MiB, ttl: off}\n", {"3:28: cache.ttl is \"off\"; write a"}},
    {SERVER MONITOR "cache: {memory: 2MiB, ttl: 32d}\n", {"3:28: cache.ttl is 32d; write 31d"}},
    {SERVER MONITOR "cache: {memory: 2MiB, coherence: gtid}\n",
     {"3:34: cache.coherence is \"gtid\"; write one of: binlog own ttl"}},
    {SERVER MONITOR "cache: {memory: 2MiB, memori: 1}\n",
     {"3:23: unknown setting cache.memori; did you mean memory?"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: 999ms}]\n",
     {"4:17: rules[].cache is 999ms; write 1s or more"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: on}]\n",
     {"4:17: rules[].cache is \"on\"; write a time with its unit: 250ms, 5s, 5m, 2h, or auto, or "
      "off"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache_coherence: own, cache_share: a}]\n",
     {"4:27: cache_coherence is given without cache, and has no effect; add it",
      "4:45: cache_share is given without cache"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: 5m, cache_share: \"a b\"}]\n",
     {"4:34: rules[].cache_share is \"a b\""}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: 5m, cache_max_entry: 3MiB}]\n",
     {"4:38: cache_max_entry is above cache.memory"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: 5m, deny: no}]\n",
     {"4:27: what is denied goes nowhere"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache_tags: a}]\n",
     {"4:22: cache_tags is given without cache, and has no effect; add it"}},
    {SERVER MONITOR
     "cache: {memory: 2MiB}\n"
     "rules: [{cache: 5m, cache_tags: [\"a:{b}\", \"a{\", \"{}\", \":a\", \"a:\"]}]\n",
     {"4:43: \"a{\" is no tag; write letters, digits, any of _.@+-: and {column}",
      "4:49: \"{}\" is no tag", "4:55: \":a\" begins or ends with a colon",
      "4:61: \"a:\" begins or ends with a colon"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\n"
                    "rules: [{cache: 5m, cache_tags: [\"a:*\", \"a b\", \"{a}{b}{c}{d}{e}\"]}]\n",
     {"4:34: \"a:*\" is no tag", "4:41: \"a b\" is no tag",
      "4:48: \"{a}{b}{c}{d}{e}\" has too many {columns}"}},
    {SERVER MONITOR
     "cache: {memory: 2MiB}\nrules: [{cache: 5m, cache_tags: [a, b, c, d, e, f, g, h, i]}]\n",
     {"4:58: cache_tags has 9 tags; write at most 8"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\n"
                    "rules: [{cache_purge: [\"a:{b}:*\", \"{b}\", \"*\", \"a*:b\", \"a{b}:*\"]}]\n",
     {"4:35: \"{b}\" has no colon before its first {column}", "4:42: \"*\" is no tag",
      "4:47: \"a*:b\" is no tag", "4:55: \"a{b}:*\" has no colon before"}},
    {SERVER MONITOR "cache: {memory: 2MiB, refresh_rate: 0}\n"
                    "rules: [{cache_refresh: [\"{b}\", \"a:{b}\"]}]\n",
     {"3:37: cache.refresh_rate is 0; write 1 or more", "4:26: \"{b}\" has no colon before"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache: 5m, cache_scope: rows}]\n",
     {"4:34: rules[].cache_scope is \"rows\"; did you mean row?"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache_refresh: a:b, deny: no}]\n",
     {"4:36: what is denied goes nowhere"}},
    {SERVER MONITOR "cache: {memory: 2MiB}\nrules: [{cache_purge: a, deny: no}]\n",
     {"4:32: what is denied goes nowhere"}},
    /* rules */
    {SERVER MONITOR "rules: {name: a}\n", {"3:8: rules must be a list"}},
    {SERVER MONITOR "rules: [a]\n", {"3:9: an entry of rules must hold settings"}},
    {SERVER MONITOR "rules: [{clas: read}]\n",
     {"3:10: unknown setting rules[].clas; did you mean class?"}},
    {SERVER MONITOR "rules: [{class: reed}]\n",
     {"3:17: rules[].class is \"reed\"; did you mean read?"}},
    {SERVER MONITOR "rules: [{class: [read, [a]]}]\n",
     {"3:24: rules[].class: expected a word, or a list of words"}},
    {SERVER MONITOR "rules: [{class: []}]\n", {"3:17: rules[].class has 0 entries; write 1 to"}},
    {SERVER MONITOR "rules: [{class: {a: b}}]\n", {"3:17: rules[].class takes one value, not a"}},
    {SERVER MONITOR "rules: [{class: }]\n", {"3:17: rules[].class has no value"}},
    {SERVER MONITOR "rules: [{digest: 12}]\n", {"3:18: 12 is no digest; write the 16 hex"}},
    {SERVER MONITOR "rules: [{digest: \"0123456789ABCDEF\"}]\n", {"3:18: 0123456789ABCDEF is no"}},
    {SERVER MONITOR "rules: [{client: [10.0.0.0/8, 10.0.0.1/8]}]\n",
     {"3:31: 10.0.0.1/8 is no network; write 10.0.0.0/8"}},
    {SERVER MONITOR "rules: [{client: 10.0.0.0/33}]\n", {"3:18: 10.0.0.0/33 is no network"}},
    {SERVER MONITOR "rules: [{client: host}]\n", {"3:18: host is no network"}},
    {SERVER MONITOR "rules: [{client: \"fd00::1/64\"}]\n", {"3:18: fd00::1/64 is no network"}},
    {SERVER MONITOR "rules: [{table: a.b.c}]\n", {"3:17: a.b.c is no table; write name or"}},
    {SERVER MONITOR "rules: [{table: [a, .b]}]\n", {"3:21: .b is no table"}},
    {SERVER MONITOR "rules: [{route: master}]\n",
     {"3:17: route is \"master\"; write primary, replica or server NAME"}},
    {SERVER MONITOR "rules: [{route: server}]\n", {"3:17: route is \"server\""}},
    {SERVER MONITOR "rules: [{route: server b}]\n",
     {"3:17: there is no server b; name one of servers"}},
    {SERVER MONITOR "rules: [{name: a, table: x}, {name: a}]\n",
     {"3:37: two rules are called a; give each its own name"}},
    {SERVER MONITOR "rules: [{name: \"a b\"}]\n", {"3:16: rules[].name is \"a b\""}},
    {SERVER MONITOR "rules: [{deny: no, route: primary}]\n",
     {"3:16: what is denied goes nowhere; remove deny"}},
    {SERVER MONITOR "rules: [{timeout: 500us}]\n", {"3:19: rules[].timeout is 500us; write 1ms"}},
    {SERVER MONITOR "rules: [{max_lag: 5}]\n", {"3:19: rules[].max_lag is \"5\"; write a time"}},
    /* the admin listener */
    {SERVER MONITOR "admin:\n  address: \"0.0.0.0:3311\"\n  users: [{name: o, password: x}]\n",
     {"4:12: admin.address is 0.0.0.0:3311, which others can reach"}},
    {SERVER MONITOR "admin:\n  address: \"db1:3311\"\n  users: [{name: o, password: x}]\n",
     {"4:12: admin.address is \"db1:3311\"; write the IP address"}},
    {SERVER MONITOR "admin:\n  address: \"127.0.0.1:3310\"\n  users: [{name: o, password: x}]\n",
     {"4:12: admin.address is 127.0.0.1:3310, as is a listener"}},
    {SERVER MONITOR "admin:\n  users: [{name: o}]\n",
     {"4:11: this operator has no password; add password_file"}},
    {SERVER MONITOR "admin:\n  users: [{name: o, password: \"\"}]\n",
     {"4:11: an operator without a password"}},
    {SERVER MONITOR "admin:\n  users: [{name: o, password: x, role: root}]\n",
     {"4:40: admin.users[].role is \"root\"; write one of: read operate"}},
    {SERVER MONITOR "admin:\n  users:\n  - {name: o, password: x}\n  - {name: o, password: y}\n",
     {"6:12: operator o is listed twice"}},
    {SERVER MONITOR "admin: {user: [{name: o, password: x}]}\n",
     {"3:9: unknown setting admin.user; did you mean users?"}},
    /* Redis */
    {SERVER MONITOR "redis: {address: \"r:1\", pasword: x}\n",
     {"3:25: unknown setting redis.pasword; did you mean password?"}},
    {SERVER MONITOR "redis: {address: r}\n", {"3:18: redis.address is \"r\"; the port is missing"}},
    {SERVER MONITOR "redis: {address: \"r:1\", user: w}\n",
     {"3:31: redis.user has no password; add password_file"}},
    {SERVER MONITOR "redis: {address: \"r:1\", password: a, password_env: b}\n",
     {"3:52: redis.password_env: the environment has no b",
      "3:52: redis has password and password_env; keep one of them"}},
    {SERVER MONITOR "redis: {address: \"r:1\", secret: short}\n",
     {"3:33: the secret is shorter than 16 bytes"}},
    {SERVER MONITOR "redis: {address: \"unix:/r\", tls: verify}\n",
     {"3:34: a unix socket has no name to verify"}},
    {SERVER MONITOR "redis: {address: \"r:1\", tls: preferred}\n",
     {"3:30: redis.tls is \"preferred\"; write one of: off required verify"}},
    {SERVER MONITOR "redis: {address: \"r:1\", timeout: 1ms}\n",
     {"3:34: redis.timeout is 1ms; write 10ms"}},
    {SERVER MONITOR "redis: {address: \"r:1\", prefix: \"a b\"}\n",
     {"3:33: redis.prefix is \"a b\""}},
    {SERVER MONITOR "cache: {memory: 1MiB, redis: true}\n",
     {"3:30: cache.redis needs redis.address; set it"}},
    {SERVER MONITOR "cache: {memory: 1MiB, redis: true}\nredis: {address: \"r:1\"}\n",
     {"3:30: cache.redis needs redis.secret_file"}},
    {SERVER MONITOR "cache: {memory: off, redis: true}\n"
                    "redis: {address: \"r:1\", secret: sixteen bytes at least}\n",
     {"3:29: cache.redis needs cache.memory"}},
    {SERVER MONITOR "redis: {address: \"r:1\", budget: 2s}\n",
     {"3:33: redis.budget is 2s; write 1s or less"}},
    {SERVER MONITOR "redis: {address: \"r:1\", cluster: true, database: 1}\n",
     {"3:50: a Redis Cluster has one database"}},
    {SERVER MONITOR "redis: {address: \"unix:/r\", cluster: true}\n",
     {"3:18: the servers of a cluster name each other by host and port"}},
    {SERVER MONITOR "balance: {polcy: latency}\n",
     {"3:11: unknown setting balance.polcy; did you mean policy?"}},
    {"servers:\n  - name: a\n    adress: h:1\n" MONITOR,
     {"2:5: servers[].address is missing",
      "3:5: unknown setting servers[].adress; did you mean address?"}},
    {SERVER MONITOR "workers: 2\nlog: {}\nworkers: 3\n",
     {"5:1: workers is given twice, first in line 3; keep one of them"}},
    {SERVER MONITOR "servers: [{name: b, address: \"h:2\"}, {name: c, address: \"h:3\"}]\n",
     {"3:1: servers is given twice, first in line 1"}},
    {SERVER "monitor: {user: m, password: x, user: n}\n", {"2:33: user is given twice"}},
    {SERVER MONITOR "b\x1bg: 1\n", {"3:2: control characters are not allowed"}},
    {SERVER MONITOR "\"b\\eg\": 1\n", {"3:1: unknown setting b?g; "}},
    /* wrong kinds of values */
    {SERVER MONITOR "workers: [2]\n", {"3:10: workers takes one value, not a list"}},
    {SERVER MONITOR "workers: {a: 2}\n", {"3:10: workers takes one value, not a mapping"}},
    {SERVER MONITOR "workers:\n", {"3:9: workers has no value; write one, or remove the line"}},
    {SERVER MONITOR "balance: latency\n", {"3:10: balance holds settings"}},
    {"servers: {name: a}\n" MONITOR, {"1:10: servers must be a list"}},
    {"servers: [a]\n" MONITOR, {"1:11: an entry of servers must hold settings"}},
    {"servers: []\n" MONITOR, {"1:10: servers is missing; name at least one"}},
    {SERVER MONITOR "listeners: []\n", {"3:12: listeners is empty"}},
    /* numbers, times, sizes */
    {SERVER MONITOR "workers: 0\n", {"3:10: workers is 0; write 1 or more"}},
    {SERVER MONITOR "workers: 65\n", {"3:10: workers is 65; write 64 or less"}},
    {SERVER MONITOR "workers: -1\n",
     {"3:10: workers is \"-1\"; write a whole number such as 100, or auto"}},
    {SERVER MONITOR "workers: 2.5\n", {"3:10: workers is \"2.5\"; write a whole number"}},
    {SERVER MONITOR "workers: 99999999999999999999\n", {"3:10: workers is \"9999"}},
    {SERVER "monitor: {user: m, password: x, interval: 250}\n",
     {"2:43: monitor.interval is \"250\"; write a time with its unit: 250ms"}},
    {SERVER "monitor: {user: m, password: x, interval: 1 s}\n", {"2:43: monitor.interval is"}},
    {SERVER "monitor: {user: m, password: x, interval: 19ms}\n",
     {"2:43: monitor.interval is 19ms; write 20ms or more"}},
    {SERVER "monitor: {user: m, password: x, max_lag: 2d}\n",
     {"2:42: monitor.max_lag is 2d; write 1d or less"}},
    {SERVER "monitor: {user: m, password: x, interval: off}\n",
     {"2:43: monitor.interval is \"off"}},
    {SERVER MONITOR "limits: {max_packet: 64MB}\n",
     {"3:22: limits.max_packet is \"64MB\"; write a size with its unit: 512B, 64KiB"}},
    {SERVER MONITOR "limits: {max_packet: 2GiB}\n",
     {"3:22: limits.max_packet is 2GiB; write 1GiB or less"}},
    {SERVER MONITOR "limits: {max_packet: 64}\n", {"3:22: limits.max_packet is \"64\""}},
    {SERVER MONITOR "limits: {relay_high: 64KiB}\n",
     {"3:9: limits.relay_low must be below limits.relay_high"}},
    {SERVER MONITOR "read_after_write: {unsafe: yes}\n",
     {"3:28: read_after_write.unsafe is \"yes\"; write true or false"}},
    /* words */
    {SERVER MONITOR "balance: {policy: latancy}\n",
     {"3:19: balance.policy is \"latancy\"; did you mean latency? known: weighted_random "}},
    {SERVER MONITOR "balance: {policy: x}\n",
     {"3:19: balance.policy is \"x\"; write one of: weighted_random least_pending latency"}},
    {SERVER MONITOR "listeners: [{address: \"1.2.3.4:1\", tls: verify}]\n",
     {"3:41: listeners[].tls is \"verify\"; write one of: off preferred required"}},
    {SERVER MONITOR "read_after_write: {mode: token}\n",
     {"3:26: read_after_write.mode is \"token\"; write one of: auto gtid window strict off"}},
    {SERVER MONITOR "tls: {min_version: TLSv1.1}\n",
     {"3:20: tls.min_version is \"TLSv1.1\"; did you mean TLSv1.2?"}},
    /* addresses */
    {"servers: [{name: a, address: h}]\n" MONITOR,
     {"1:30: servers[].address is \"h\"; the port is missing"}},
    {"servers: [{name: a, address: \"h:0\"}]\n" MONITOR,
     {"1:30: servers[].address is \"h:0\"; the port must be"}},
    {"servers: [{name: a, address: \"h:65536\"}]\n" MONITOR, {"1:30: servers[].address is"}},
    {"servers: [{name: a, address: \"::1:3306\"}]\n" MONITOR,
     {"1:30: servers[].address is \"::1:3306\"; write an IPv6 address in brackets"}},
    {"servers: [{name: a, address: \"[::g]:3306\"}]\n" MONITOR,
     {"1:30: servers[].address is \"[::g]:3306\"; not an IPv6 address"}},
    {"servers: [{name: a, address: \"h/x:3306\"}]\n" MONITOR,
     {"1:30: servers[].address is \"h/x:3306\"; a host is made of"}},
    {"servers: [{name: a, address: \"unix:x\"}]\n" MONITOR,
     {"1:30: servers[].address is \"unix:x\"; write unix: and an absolute path"}},
    {SERVER MONITOR "listeners: [{address: \"localhost:3310\"}]\n",
     {"3:23: listeners[].address is \"localhost:3310\"; write the IP address"}},
    {SERVER MONITOR "listeners: [{address: off}]\n", {"3:23: listeners[].address is \"off\""}},
    /* servers together */
    {"servers:\n  - {name: a, address: \"h:1\"}\n  - {name: a, address: \"h:2\"}\n" MONITOR,
     {"3:12: two servers are called a; give each its own name"}},
    {"servers:\n  - {name: a, address: \"h:1\"}\n  - {name: b, address: \"h:1\"}\n" MONITOR,
     {"3:24: two servers have the address h:1"}},
    {"servers:\n  - {name: a, role: primary, address: \"h:1\"}\n"
     "  - {name: b, role: primary, address: \"h:2\"}\n" MONITOR,
     {"3:21: a second primary, the first is in line 2"}},
    {"servers: [{name: a, role: replica, address: \"h:1\"}]\n" MONITOR,
     {"1:10: every server is a replica"}},
    {"servers: [{name: \"a b\", address: \"h:1\"}]\n" MONITOR,
     {"1:18: servers[].name is \"a b\"; write 1 to 64 letters"}},
    {"servers: [{name: a, address: \"h:1\", weight: 1001}]\n" MONITOR,
     {"1:45: servers[].weight is 1001; write 1000 or less"}},
    {"servers: [{name: a, address: \"unix:/x\", tls: verify}]\n" MONITOR,
     {"1:46: a unix socket has no name to verify"}},
    {SERVER MONITOR "listeners: [{address: \"1.2.3.4:5\"}, {address: \"1.2.3.4:5\"}]\n",
     {"3:47: two listeners have the address 1.2.3.4:5"}},
    /* users and secrets */
    {SERVER "monitor: {user: m}\n", {"2:10: monitor has no password"}},
    {SERVER "monitor: {password: x}\n", {"2:10: monitor.user is missing"}},
    {SERVER "monitor: {user: m, password: x, password_env: Y}\n",
     {"2:47: monitor.password_env: the environment has no Y",
      "2:47: monitor has password and password_env; keep one"}},
    {SERVER "monitor: {user: m, password_file: /nonexistent/x}\n",
     {"2:35: monitor.password_file: cannot open /nonexistent/x"}},
    {SERVER "monitor: {user: m, password_file: /dev/null}\n",
     {"2:35: monitor.password_file: /dev/null is not a regular file"}},
    {SERVER "monitor: {user: m, password: }\n", {"2:30: monitor.password has no value"}},
    {SERVER "monitor: {user: m, password: ~}\n", {"2:30: monitor.password has no value"}},
    {SERVER "monitor: {user: m, password: null}\n", {"2:30: monitor.password has no value"}},
    {SERVER "monitor: {user: \"\", password: x}\n", {"2:17: monitor.user has no value"}},
    {SERVER MONITOR "users: {source: [passthrough, passthrough]}\n",
     {"3:31: users.source names passthrough twice"}},
    {SERVER MONITOR "functions: {replica: [app.f, b, APP.f, app.F]}\n",
     {"3:40: functions.replica names app.F twice"}},
    {SERVER MONITOR "functions: {primary: [\"app.f.g\"]}\n",
     {"3:23: functions.primary has \"app.f.g\"; write SCHEMA.NAME"}},
    {SERVER MONITOR "functions: {primary: [app., .f]}\n",
     {"3:23: functions.primary has \"app.\"; write", "3:29: functions.primary has \".f\"; write"}},
    {SERVER MONITOR "functions: {replica: \"`app`.f\"}\n",
     {"3:22: functions.replica has \"`app`.f\"; write SCHEMA.NAME"}},
    {SERVER MONITOR "functions: {replica: [[a]]}\n",
     {"3:23: functions.replica: expected the name of a function"}},
    {SERVER MONITOR "functions: {replica: {a: b}}\n",
     {"3:22: functions.replica takes one value, not a mapping"}},
    {SERVER MONITOR "functions: {replica: }\n", {"3:22: functions.replica has no value"}},
    {SERVER MONITOR "functions: {replicas: [a.b]}\n",
     {"3:13: unknown setting functions.replicas; did you mean replica?"}},
    {SERVER MONITOR "users: {source: []}\n", {"3:17: users.source is empty"}},
    {SERVER MONITOR "users: {source: list}\n", {"3:17: users.source names list, and there is no"}},
    {SERVER MONITOR "users: {list: [{name: a, password: b}]}\n",
     {"3:15: users.list is given, and users.source does not name it"}},
    {SERVER MONITOR "users: {source: list, list: [{name: a}]}\n",
     {"3:30: this user has no password"}},
    {SERVER MONITOR "users: {source: list, list: [{name: a, password_hash: abc}]}\n",
     {"3:55: users.list[].password_hash is no such hash"}},
    {SERVER MONITOR "users:\n  source: list\n  list:\n    - {name: a, password: b}\n"
                    "    - {name: a, password: c}\n",
     {"7:14: user a is listed twice, first in line 6"}},
    {SERVER MONITOR "tls: {cert: /nonexistent/c}\n",
     {"3:13: tls.cert is given without tls.key", "3:13: /nonexistent/c cannot be read"}},
    /* windows */
    {SERVER MONITOR "read_after_write: {window: 1s}\n",
     {"3:28: shorter than 7s (max_lag + interval x (failures + 1) + 1s)"}},
    {SERVER MONITOR "read_after_write: {window: adaptiv}\n",
     {"3:28: read_after_write.window is \"adaptiv\""}},
    {SERVER MONITOR "read_after_write: {window: adaptive, window_ceiling: 6s}\n",
     {"3:54: shorter than 7s (max_lag + interval x (failures + 1) + 1s)"}},
    {SERVER MONITOR "read_after_write: {window: adaptive, window_floor: 8s}\n",
     {"3:52: window_floor is above window_ceiling; lower it"}},
    {SERVER MONITOR "read_after_write: {window_margin: adaptive}\n",
     {"3:35: read_after_write.window_margin is \"adaptive\""}},
    /* heartbeat */
    {SERVER "monitor: {user: m, password: x, heartbeat: heartbeat}\n",
     {"2:44: monitor.heartbeat is \"heartbeat\"; write SCHEMA.TABLE, without quotes"}},
    {SERVER "monitor: {user: m, password: x, heartbeat: \"a.b` c\"}\n",
     {"2:44: monitor.heartbeat is \"a.b` c\"; write SCHEMA.TABLE, without quotes"}},
    {SERVER "monitor: {user: m, password: x, heartbeat: \"a.b.c\"}\n",
     {"2:44: monitor.heartbeat is \"a.b.c\"; write SCHEMA.TABLE, without quotes"}},
};

static void case_name(char *dst, size_t cap, const struct config_errors *errs)
{
    size_t at = 0;

    dst[0] = '\0';
    for (uint32_t i = 0; i < errs->count && at < cap; i++) {
        int n = snprintf(dst + at, cap - at, "\n    %" PRIu32 ":%" PRIu32 ": %s",
                         errs->item[i].line, errs->item[i].column, errs->item[i].text);

        at += n > 0 ? (size_t)n : 0;
    }
}

static bool case_holds(const struct broken_case *c, const struct config_errors *errs)
{
    uint32_t wanted = 0;

    for (; wanted < 4 && c->expect[wanted] != NULL; wanted++) {
        char line[400];

        if (wanted >= errs->count) {
            return false;
        }
        (void)snprintf(line, sizeof line, "%" PRIu32 ":%" PRIu32 ": %s", errs->item[wanted].line,
                       errs->item[wanted].column, errs->item[wanted].text);
        if (strncmp(line, c->expect[wanted], strlen(c->expect[wanted])) != 0) {
            return false;
        }
    }
    return errs->count == wanted && errs->error_count == wanted;
}

static void test_broken_files(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        const struct broken_case *c = &cases[i];
        struct config_errors errs;
        struct config *config = NULL;
        int rc = config_parse("t.yaml", (const uint8_t *)c->text, strlen(c->text), &config, &errs);

        if (rc != -WR_E_CONFIG || config != NULL || !case_holds(c, &errs)) {
            static char got[8000];

            case_name(got, sizeof got, &errs);
            print_error("---\n%s--- wanted %s, got rc %d%s\n", c->text, c->expect[0], rc, got);
            failed++;
        }
        config_unref(config);
    }
    assert_int_equal(failed, 0);
}

/* Near-misses: the same forms without the mistake. */
static const char *const fine[] = {
    SERVER MONITOR,
    "---\n" SERVER MONITOR "...\n",
    SERVER MONITOR "workers: 1\n",
    SERVER MONITOR "workers: auto\n",
    SERVER MONITOR "tls:\n",
    SERVER MONITOR
    "admin: {users: [{name: o, password: x}, {name: p, password: x, role: operate}]}\n",
    SERVER MONITOR "admin: {address: \"[::1]:3311\", users: [{name: o, password: x}]}\n",
    SERVER MONITOR "admin: {address: \"127.1.2.3:1\", users: [{name: o, password: x}]}\n",
    SERVER MONITOR "admin: {address: \"unix:/run/x\", users: [{name: o, password: x}]}\n",
    SERVER MONITOR "admin: {address: off, users: [{name: o, password: x}]}\n",
    SERVER MONITOR "observe: {digests: 0}\n",
    SERVER MONITOR "tls: ~\n",
    SERVER "monitor: {user: \"null\", password: \"~\"}\n",
    SERVER "monitor: {user: m, password: 12345}\r\nworkers: 2\r\n",
    "\xef\xbb\xbf" SERVER MONITOR,
    SERVER MONITOR "tls:\n  # cert: x\n",
    SERVER "monitor: {user: m, password: \"\"}\n",
    SERVER "monitor: {user: m, password: x, interval: 20ms}\n",
    SERVER "monitor: {user: m, password: x, max_lag: 1d}\n",
    SERVER MONITOR "limits: {relay_high: 64KiB, relay_low: 32KiB}\n",
    SERVER MONITOR "limits: {max_packet: 1GiB}\n",
    SERVER MONITOR "read_after_write: {window: 7s}\n",
    SERVER MONITOR "read_after_write: {window: 1s, unsafe: true}\n",
    SERVER MONITOR "read_after_write: {mode: strict, window: adaptive}\n",
    SERVER MONITOR "read_after_write: {window: adaptive, window_floor: 0s, window_ceiling: 7s}\n",
    SERVER MONITOR
    "read_after_write: {window: adaptive, window_ceiling: 1s, unsafe: true, window_over: 1h}\n",
    SERVER "monitor: {user: m, password: x, heartbeat: percona.heart_beat-1}\n",
    SERVER MONITOR "read_after_write: {mode: \"off\"}\n",
    SERVER MONITOR "listeners: [{address: \"[::1]:3310\"}, {address: \"unix:/run/w\"}]\n",
    SERVER MONITOR "listeners: [{address: \"1.2.3.4:0\"}, {address: \"1.2.3.4:0\"}]\n",
    SERVER MONITOR "functions: {replica: [app.f, App.f, f], primary: app.f}\n",
    SERVER MONITOR "functions: {replica: []}\n",
    SERVER MONITOR "http: {address: off}\n",
    SERVER MONITOR "users: {source: [list, server], list: [{name: a, password: b}]}\n",
    SERVER MONITOR "rules: []\n",
    SERVER MONITOR "cache: {memory: off, ttl: 1m}\n",
    SERVER MONITOR "cache: {memory: 1MiB}\nrules: [{cache: off, cache_share: a}, ]\n",
    SERVER MONITOR
    "cache: {memory: 1MiB}\nrules: [{cache: 5m, cache_tags: [\"a:{b}:{c_$1}\", d]}]\n",
    SERVER MONITOR
    "cache: {memory: 1MiB}\nrules: [{class: write, cache_purge: [\"a:{b}:*\", d]}]\n",
    SERVER MONITOR "cache: {memory: 1TiB, max_entry: 64MiB, stale_if_error: 0}\n",
    SERVER MONITOR "cache: {memory: 1MiB}\nrules: [{cache: 31d, cache_stale_if_error: off}]\n",
    SERVER MONITOR "rules: [{cache: off, table: t}, {cache: auto}]\n",
    SERVER MONITOR "rules: [{route: server a}, ]\n",
    SERVER MONITOR
    "rules: [{table: [s.t, \"*.t\", t, \"a*\"], route: server a#2, max_lag: auto}]\n",
    SERVER MONITOR
    "rules: [{client: [10.0.0.0/8, 1.2.3.4, \"fd00::/8\", \"::/0\", 0.0.0.0/0, unix]}]\n",
    SERVER MONITOR "rules: [{class: [read, select], read_after_write: off, timeout: off}]\n",
    SERVER MONITOR "rules: [{match: \"(\"}]\n", /* whether it is one is asked in route */
    SERVER MONITOR "rules: [{digest: \"0123456789abcdef\", deny: no, log: true}]\n",
    ("servers: [{name: a#1, address: \"[::1]:1\"}, {name: b, address: \"h:1\", role: primary}]\n" MONITOR),
};

static void test_near_misses(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(fine); i++) {
        struct config_errors errs;
        struct config *config = NULL;
        int rc = config_parse("t.yaml", (const uint8_t *)fine[i], strlen(fine[i]), &config, &errs);

        if (rc != 0 || config == NULL || errs.count != 0) {
            print_error("---\n%s--- refused: %s\n", fine[i],
                        errs.count > 0 ? errs.item[0].text : "?");
            failed++;
        }
        config_unref(config);
    }
    assert_int_equal(failed, 0);
}

/* Taken, with a word about it. */
static const struct broken_case warned[] = {
    {SERVER MONITOR "read_after_write: {mode: off, window: 10s}\n",
     {"3:39: a window has no effect while read_after_write.mode is off"}},
    {SERVER MONITOR "read_after_write: {window_ceiling: 10s}\n",
     {"3:36: window_ceiling has no effect unless window is adaptive"}},
    {SERVER MONITOR "rules: [{log: true}, {user: a}]\n",
     {"3:22: never reached: the rule in line 3 has no condition and takes everything"}},
    {SERVER MONITOR "rules: [{user: a, match_caseless: true}]\n",
     {"3:35: it has no effect without match"}},
    {SERVER MONITOR "cache: {ttl: 1m}\n",
     {"3:8: cache has no memory, and is not used; add cache.memory, as in 256MiB"}},
    {SERVER MONITOR "rules: [{table: t, cache: 1m}]\n",
     {"3:27: it has no effect while cache.memory is off; set it, as in 256MiB"}},
    {"servers: [{name: a, address: \"h:1\", tls_server_name: b}]\n" MONITOR,
     {"1:54: nothing is verified unless tls is verify; write tls: verify"}},
    {"servers: [{name: a, address: \"h:1\", tls: required, tls_ca: /dev/null}]\n" MONITOR, {NULL}},
};

static void test_warnings(void **state)
{
    (void)state;
    for (size_t i = 0; i < WR_ARRAY_LEN(warned); i++) {
        struct config_errors errs;
        struct config *config = NULL;
        int rc = config_parse("t.yaml", (const uint8_t *)warned[i].text, strlen(warned[i].text),
                              &config, &errs);
        char line[400];

        if (warned[i].expect[0] == NULL) { /* a warning beside a mistake */
            assert_int_equal(rc, -WR_E_CONFIG);
            assert_null(config);
            assert_int_equal(errs.count, 2);
            assert_int_equal(errs.error_count, 1);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(errs.count, 1);
        assert_int_equal(errs.error_count, 0);
        assert_true(errs.item[0].is_warning);
        (void)snprintf(line, sizeof line, "%" PRIu32 ":%" PRIu32 ": %s", errs.item[0].line,
                       errs.item[0].column, errs.item[0].text);
        assert_string_equal(line, warned[i].expect[0]);
        config_unref(config);
    }
}

/* More mistakes than places: twenty are kept, all are counted, and the list ends in a count. */
static void test_many_mistakes(void **state)
{
    char text[4096] = SERVER MONITOR;
    char out[8192] = "";
    struct config_errors errs;
    struct config *config = NULL;
    FILE *f = NULL;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 30; i++) {
        size_t at = strlen(text);

        (void)snprintf(text + at, sizeof text - at, "unknown_%02d: 1\n", i);
    }
    assert_int_equal(config_parse("t.yaml", (const uint8_t *)text, strlen(text), &config, &errs),
                     -WR_E_CONFIG);
    assert_int_equal(errs.count, CONFIG_ERRORS_MAX);
    assert_int_equal(errs.error_count, 30);
    f = tmpfile();
    assert_non_null(f);
    config_print_errors(&errs, f);
    rewind(f);
    n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(out, "t.yaml:3:1: unknown setting unknown_00; remove it\n"));
    assert_non_null(strstr(out, "t.yaml: and 10 more\n"));
}

static void test_too_large(void **state)
{
    static uint8_t text[CONFIG_FILE_MAX + 1];
    struct config_errors errs;
    struct config *config = NULL;

    (void)state;
    memset(text, '#', sizeof text);
    assert_int_equal(config_parse("t.yaml", text, sizeof text, &config, &errs), -WR_E_CONFIG);
    assert_non_null(strstr(errs.item[0].text, "larger than 1048576 bytes"));
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_files), cmocka_unit_test(test_near_misses),
        cmocka_unit_test(test_warnings),     cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
