/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - what the program's verbs do: serve, check, explain.
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

/* The command line: picks one of the above. */
WR_NODISCARD int run_main(int argc, char **argv);

#endif
