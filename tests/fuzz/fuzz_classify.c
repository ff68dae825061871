/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_classify.c - any bytes as SQL. The first two bytes choose the environment.
 *
 * Oracles: never past the end (ASan); a read has no effects and one statement; poison behind a
 * read is seen, so a read never ends inside what weir took for code wrongly; a comment in front
 * changes nothing; the digest of a digest is itself; a rewrite leaves no use of an id. The same bytes
 * as the body of a function: harmless only if it has no effects, and with poison behind any of its
 * semicolons it is not. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "weir/classify/body.h"
#include "weir/classify/classify.h"
#include "weir/classify/equal.h"
#include "weir/util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void classify_copy(const uint8_t *a, size_t a_len, const char *b,
                          const struct classify_env *env, struct facts *f, bool b_first)
{
    size_t b_len = strlen(b);
    uint8_t *text = malloc(a_len + b_len + 1);
    need(text != NULL);
    memcpy(text + (b_first ? b_len : 0), a, a_len);
    memcpy(text + (b_first ? 0 : a_len), b, b_len);
    uint8_t *exact = malloc(a_len + b_len > 0 ? a_len + b_len : 1);
    need(exact != NULL);
    memcpy(exact, text, a_len + b_len);
    classify_sql((struct span){exact, a_len + b_len}, env, f);
    free(exact);
    free(text);
}

static void check_read(const uint8_t *sql, size_t len, const struct classify_env *env,
                       const struct facts *f)
{
    static const char *const poisons[] = {"\n;DELETE FROM t", "\n;SET @a = 1", "\n @v", "\n '",
                                          "\n /*"};
    need(f->why == WHY_NONE && f->pins == 0 && (f->bits & FACT(WRITE)) == 0 &&
         (f->bits & FACT(MULTI)) == 0 && (f->bits & FACT(BAD_LEX)) == 0);
    for (size_t i = 0; i < WR_ARRAY_LEN(poisons); i++) {
        struct facts g;
        classify_copy(sql, len, poisons[i], env, &g, false);
        /* SHOW GRANTS FOR user @host: an account, when nothing stands between */
        need((g.bits & FACT(READ)) == 0 || g.verb == VERB_SHOW);
    }
}

/* Names are pieces of the text, in its order. */
static void check_mentions(struct span sql, const struct classify_env *env)
{
    struct facts_table mentions[64];
    size_t count = classify_mentions(sql, env, mentions, 64);
    const uint8_t *at = sql.p;

    need(count <= 64);
    for (size_t i = 0; i < count; i++) {
        need(mentions[i].name.p >= at && mentions[i].name.len > 0);
        at = mentions[i].name.p + mentions[i].name.len;
        need(at <= sql.p + sql.len);
    }
}

/* A value is a piece of the text, or a parameter that is there. */
static void check_equal(struct span sql, const struct classify_env *env, const struct facts *f)
{
    struct equal_value value;
    struct facts_table table;

    if (equal_table(sql, env, f, &table)) {
        need((f->bits & (FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX))) == 0);
        need(table.name.p >= sql.p && table.name.p + table.name.len <= sql.p + sql.len);
    }
    if (!equal_find(sql, env, f, SPAN_LIT("id"), &value)) {
        return;
    }
    need((f->bits & (FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX))) == 0);
    if (value.is_param) {
        need(value.param < value.params);
    } else {
        need(value.text.p >= sql.p && value.text.p + value.text.len <= sql.p + sql.len);
    }
}

static void check_digest(struct span sql, const struct classify_env *env)
{
    char text[256];
    size_t len = 0;
    (void)classify_digest(sql, env, text, sizeof(text), &len);
    need(len < sizeof(text) && text[len] == '\0');
}

static void check_rewrite(struct span sql, const struct facts *f)
{
    const struct classify_ids ids = {.mask = 7, .value = {123456, -1, 0}};
    struct buf out;
    buf_init(&out);
    if (classify_rewrite_ids(sql, f, &ids, &out) == 0) {
        need(buf_len(&out) + f->id_count * 32U >= sql.len || f->id_count > 0);
        need(f->id_count > 0 || buf_len(&out) == sql.len);
    }
    buf_fini(&out);
}

/* What stands behind a semicolon of a body is a statement, but in quotes and comments. */
static bool is_plain_body(const uint8_t *sql, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("'\"`#/*-", sql[i]) != NULL) { /* NUL, too */
            return false;
        }
    }
    return true;
}

static void check_body(const uint8_t *sql, size_t len, const struct classify_env *env)
{
    static const struct span params[] = {{(const uint8_t *)"p", 1}};
    static const char poison[] = ";SET a.b = p;";
    struct facts f;
    classify_function_body((struct span){sql, len}, env, params, 1, &f);
    bool is_harmless = (f.bits & (FACT(READ) | FACT(CALLS))) != 0;
    need(is_harmless == ((f.why == WHY_NONE) || (f.bits & FACT(CALLS)) != 0));
    if (!is_harmless) {
        return;
    }
    need(f.pins == 0 && f.hints == 0 && f.kill.form == KILL_NONE && f.id_count == 0 &&
         (f.bits & (FACT(MULTI) | FACT(BAD_LEX) | FACT(LOCKING) | FACT(USER_VARIABLE))) == 0);
    need((f.call_count > 0) == ((f.bits & FACT(CALLS)) != 0));
    uint8_t *text = malloc(len + sizeof(poison));
    need(text != NULL);
    for (size_t at = 0; at < len && is_plain_body(sql, len); at++) {
        if (sql[at] == ';') {
            memcpy(text, sql, at);
            memcpy(text + at, poison, sizeof(poison) - 1);
            memcpy(text + at + sizeof(poison) - 1, sql + at + 1, len - at - 1);
            classify_function_body((struct span){text, len + sizeof(poison) - 2}, env, params, 1,
                                   &f);
            need((f.bits & (FACT(READ) | FACT(CALLS))) == 0);
        }
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct classify_env env = {
        .flavour = (data[0] & 1) != 0 ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = (data[0] & 1) != 0   ? 101119
                   : (data[0] & 2) != 0 ? 80402
                                        : 90704,
        .sql_mode = data[1] & 7U,
        .charset = (enum classify_charset)((data[1] >> 4) % (CLASSIFY_CS_UNKNOWN + 1)),
        .is_multi = (data[0] & 4) != 0,
    };
    struct facts f;
    struct facts g;
    const uint8_t *sql = data + 2;
    size_t len = size - 2;
    uint8_t *exact = malloc(len > 0 ? len : 1);
    need(exact != NULL);
    memcpy(exact, sql, len);
    struct span text = {exact, len};
    classify_sql(text, &env, &f);
    unsigned routes = ((f.bits & FACT(READ)) != 0) + ((f.bits & FACT(PRIMARY)) != 0) +
                      ((f.bits & FACT(LAST)) != 0);
    need(routes == 1);
    if ((f.bits & FACT(READ)) != 0) {
        check_read(sql, len, &env, &f);
    }
    classify_copy(sql, len, "/**/ #x\n", &env, &g, true);
    need(f.bits == g.bits && f.verb == g.verb && f.why == g.why && f.pins == g.pins &&
         f.table_count == g.table_count && f.id_count == g.id_count && f.hints == g.hints &&
         f.call_count == g.call_count);
    need((f.bits & FACT(CALLS)) == 0 || ((f.bits & FACT(PRIMARY)) != 0 && f.call_count > 0));
    for (unsigned i = 0; i < f.table_count; i++) {
        char name[64];
        (void)classify_name_decode(f.tables[i].name, name, sizeof(name));
    }
    check_digest(text, &env);
    check_mentions(text, &env);
    check_equal(text, &env, &f);
    check_rewrite(text, &f);
    check_body(exact, len, &env);
    free(exact);
    return 0;
}
