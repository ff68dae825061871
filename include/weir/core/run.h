/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - what the program's verbs do: serve, check, diff, explain, verify.
 *
 * WHY       main() stays a line; start and stop of the process are one visible list.
 * OWNS      Everything that the process has, from start to stop.
 * THREADS   The main thread, which becomes the control thread.
 * REENTRY   Once per process.
 * UNITS     none
 * ERRORS    Exit codes: 0 fine, 1 failed, 2 wrong usage or a bad configuration.
 * BOUNDS    none
 */
#ifndef WEIR_CORE_RUN_H
#define WEIR_CORE_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/util/attr.h"

#define RUN_OK     0
#define RUN_FAILED 1
#define RUN_USAGE  2

/* Serve until a signal ends it. */
WR_NODISCARD int run_serve(const char *config_path);
/* Check a configuration; with_servers: ask the servers, too. Says what it found on stdout. */
WR_NODISCARD int run_check(const char *config_path, bool with_servers);
/* What a weir that runs by OLD would make of NEW, and what of it needs a restart: then RUN_FAILED. */
WR_NODISCARD int run_diff(const char *old_path, const char *new_path, FILE *out);
/* Where would this statement go, with every server well? One line per part of the decision. */
struct run_explain_args {
    const char *config_path; /* NULL: a primary and two replicas */
    const char *schema;      /* the session's default schema; NULL: "app" */
    const char *user;        /* for rules; NULL: none in particular */
    const char *client;      /* the client's address, for rules; NULL: none in particular */
    bool is_mariadb;         /* else MySQL */
    const char *sql;
};
WR_NODISCARD int run_explain(const struct run_explain_args *args, FILE *out);

/* Try what config_path promises on the weir that runs by it. */
#define RUN_VERIFY_SECONDS_MAX 600
#define RUN_VERIFY_CLIENTS_MAX 64
#define RUN_VERIFY_RATE_MAX    5000
enum run_verify_tls {
    RUN_VERIFY_TLS_AUTO, /* off on this machine, else required */
    RUN_VERIFY_TLS_OFF,
    RUN_VERIFY_TLS_REQUIRED
};
struct run_verify_args {
    const char *config_path;
    const char *address; /* HOST:PORT, [IPv6]:PORT or unix:/PATH; NULL: its first listener */
    const char *user;
    const char *password_path; /* NULL: WEIR_VERIFY_PASSWORD in the environment */
    enum run_verify_tls tls;
    uint32_t seconds;
    uint32_t clients;
    uint32_t rate; /* operations a second */
    uint32_t seed; /* 0: another one each time */
};
WR_NODISCARD int run_verify(const struct run_verify_args *args, FILE *out);

/* The command line: picks one of the above. */
WR_NODISCARD int run_main(int argc, char **argv);

#endif
