/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/util/clock.h"
#include "weir/util/err.h"
#include "weir/util/rand.h"

#include "client_priv.h"
#include "schema_priv.h"

#define PREFIX       "weir_verify_"
#define HEX_DIGITS   16
#define SQL_MAX      512
#define SETTLE_US    (30 * CLOCK_US_PER_SECOND)
#define SETTLE_READS 40 /* in a row, spread by weir over all replicas */
#define ER_DB_EXISTS 1007
#define CREATE_TRIES 3

static int failed(const struct link *link, const char *what, char *error, size_t cap)
{
    (void)snprintf(error, cap, "%s: %u %s", what, link_errno(link), link_error(link));
    return -WR_E_SERVER_ERROR;
}

static int run(struct link *link, const char *sql, char *error, size_t cap)
{
    struct link_answer answer;

    return link_query(link, sql, &answer) < 0 ? failed(link, sql, error, cap) : 0;
}

static bool is_ours(const char *schema)
{
    size_t prefix = sizeof(PREFIX) - 1;

    return strncmp(schema, PREFIX, prefix) == 0 && strlen(schema) == prefix + HEX_DIGITS &&
           strspn(schema + prefix, "0123456789abcdef") == HEX_DIGITS;
}

/* CREATE DATABASE without IF NOT EXISTS: what is there is somebody's. */
static int create_schema(struct link *link, char schema[VERIFY_SCHEMA_MAX], char *error, size_t cap)
{
    struct rand_state rng;
    struct link_answer answer;
    char sql[SQL_MAX];

    rand_seed_system(&rng);
    for (int i = 0; i < CREATE_TRIES; i++) {
        (void)snprintf(schema, VERIFY_SCHEMA_MAX, PREFIX "%016" PRIx64, rand_u64(&rng));
        (void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s CHARACTER SET utf8mb4", schema);
        if (link_query(link, sql, &answer) == 0) {
            return 0;
        }
        if (link_errno(link) != ER_DB_EXISTS) {
            break;
        }
    }
    schema[0] = '\0';
    (void)failed(link, "no schema could be made", error, cap);
    return -WR_E_SERVER_ERROR;
}

static int fill(struct link *link, const struct verify_conf *conf, char *error, size_t cap)
{
    static const char *const tables[] = {
        /* the registers; record: the ops of all commits of this one, in their order */
        "CREATE TABLE reg (k INT UNSIGNED NOT NULL PRIMARY KEY, ver INT UNSIGNED NOT NULL, "
        "op INT UNSIGNED NOT NULL, record MEDIUMTEXT CHARACTER SET latin1 NOT NULL) ENGINE=InnoDB",
        /* the journal: no key forbids an op to be there twice */
        "CREATE TABLE app (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
        "op INT UNSIGNED NOT NULL, k INT UNSIGNED NOT NULL, KEY (op)) ENGINE=InnoDB",
        "CREATE TABLE acct (id INT UNSIGNED NOT NULL PRIMARY KEY, bal BIGINT NOT NULL) "
        "ENGINE=InnoDB",
        /* tests give it another row on each server */
        "CREATE TABLE srv (id INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO srv VALUES (0)",
    };
    char sql[SQL_MAX];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        rc = run(link, tables[i], error, cap);
    }
    for (unsigned k = 0; rc == 0 && k < conf->keys; k++) {
        (void)snprintf(sql, sizeof(sql), "INSERT INTO reg VALUES (%u, 0, 0, '')", k);
        rc = run(link, sql, error, cap);
    }
    for (unsigned id = 0; rc == 0 && id < CLIENT_ACCOUNTS; id++) {
        (void)snprintf(sql, sizeof(sql), "INSERT INTO acct VALUES (%u, %d)", id, CLIENT_BALANCE);
        rc = run(link, sql, error, cap);
    }
    return rc;
}

int schema_create(struct link *link, const struct verify_conf *conf, char schema[VERIFY_SCHEMA_MAX],
                  char *error, size_t cap)
{
    char sql[SQL_MAX];
    int rc = create_schema(link, schema, error, cap);

    if (rc == 0) {
        (void)snprintf(sql, sizeof(sql), "USE %s", schema);
        rc = run(link, sql, error, cap);
    }
    return rc == 0 ? fill(link, conf, error, cap) : rc;
}

static int on_target(void *arg, const struct span *cells, unsigned count)
{
    bool *is_replica = arg;

    if (count == 2 && span_eq_text(cells[0], "target") && span_eq_text(cells[1], "replica")) {
        *is_replica = true;
    }
    return 0;
}

/* weir knows the new tables, and the last row has come to each replica that answers. */
static bool is_settled(struct link *link, const struct verify_conf *conf)
{
    struct link_answer answer;
    bool is_replica = !conf->is_weir;

    if (conf->is_weir &&
        link_each(link, "EXPLAIN ROUTE /* weir:replica */ SELECT COUNT(*) FROM acct", on_target,
                  &is_replica) < 0) {
        return false;
    }
    for (int i = 0; is_replica && i < SETTLE_READS; i++) {
        if (link_query(link, "/* weir:replica */ SELECT COUNT(*) FROM acct", &answer) < 0 ||
            strtol(answer.cells[0], NULL, 10) != CLIENT_ACCOUNTS) {
            return false;
        }
    }
    return is_replica;
}

int schema_settle(struct link *link, const struct verify_conf *conf, const char *schema,
                  char *error, size_t cap)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    uint64_t until_us = clock_now_us() + SETTLE_US;
    struct link_answer answer;

    while (!is_settled(link, conf)) {
        if (clock_now_us() > until_us) {
            (void)snprintf(error, cap,
                           "no replica gets reads of %s: EXPLAIN ROUTE says why. Is one up and not "
                           "behind, and does the monitor's account see the schema's tables?",
                           schema);
            return link_query(link, "SELECT 1", &answer) < 0
                       ? failed(link, "the connection is lost", error, cap)
                       : -WR_E_TIMEOUT;
        }
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

/* --- truth --- */

static uint32_t number_of(struct span cell)
{
    char text[24];

    (void)span_copy(cell, text, sizeof(text));
    return (uint32_t)strtoul(text, NULL, 10);
}

static int on_count(void *arg, const struct span *cells, unsigned count)
{
    uint32_t keys = count == 1 ? number_of(cells[0]) : 0;

    return keys > HISTORY_KEYS_MAX ? -WR_E_LIMIT : truth_set_keys(arg, (uint16_t)keys);
}

static int on_key(void *arg, const struct span *cells, unsigned count)
{
    return count != 4 ? -WR_E_STATE
                      : truth_set_key(arg, (uint16_t)number_of(cells[0]), number_of(cells[1]),
                                      number_of(cells[2]), cells[3]);
}

static int on_row(void *arg, const struct span *cells, unsigned count)
{
    return count != 2 ? -WR_E_STATE
                      : truth_add_journal(arg, number_of(cells[0]), number_of(cells[1]));
}

int schema_truth(struct link *link, const char *schema, struct truth *truth, char *error,
                 size_t cap)
{
    int rc = 0;

    truth->sum = (int64_t)CLIENT_ACCOUNTS * CLIENT_BALANCE;
    /* a transaction that may write is the primary's, and this isolation level gives a snapshot */
    if (run(link, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", error, cap) < 0 ||
        run(link, "START TRANSACTION", error, cap) < 0) {
        return -WR_E_SERVER_ERROR;
    }
    rc = link_each(link, "SELECT COUNT(*) FROM reg", on_count, truth);
    if (rc == 0) {
        rc = link_each(link, "SELECT k, ver, op, record FROM reg ORDER BY k", on_key, truth);
    }
    if (rc == 0) {
        rc = link_each(link, "SELECT op, COUNT(*) FROM app GROUP BY op", on_row, truth);
    }
    if (rc == 0) {
        rc = run(link, "COMMIT", error, cap);
        truth_index(truth);
    } else {
        (void)snprintf(error, cap, "the end of %s could not be read: %s", schema,
                       rc == -WR_E_SERVER_ERROR ? link_error(link) : err_text(rc));
    }
    return rc;
}

int schema_drop(struct link *link, const char *schema, char *error, size_t cap)
{
    char sql[SQL_MAX];

    if (!is_ours(schema)) {
        return -WR_E_STATE;
    }
    (void)snprintf(sql, sizeof(sql), "DROP DATABASE %s", schema);
    return run(link, sql, error, cap);
}
