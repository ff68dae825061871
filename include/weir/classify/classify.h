/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify - SQL text -> struct facts: an allow-list over the whole token stream.
 *
 * WHY       A statement that may write, lock or depend on session state must never reach a
 *           replica; only what is proven to be one read of known shape is called a read.
 * OWNS      none; nothing is allocated or copied, spans in facts borrow from sql and env.
 * THREADS   any; pure functions of their arguments.
 * REENTRY   none
 * UNITS     Bytes. Versions: as executable comments number them (80402, 90704, 101119).
 * ERRORS    classify_sql() cannot fail: what it does not understand is FACT(PRIMARY).
 * BOUNDS    CLASSIFY_MAX_SQL bytes are examined; above it only the beginning is, for the verb,
 *           and the statement is FACT(LARGE) and never a read. Nesting: CLASSIFY_MAX_DEPTH.
 */
#ifndef WEIR_CLASSIFY_CLASSIFY_H
#define WEIR_CLASSIFY_CLASSIFY_H

#include "weir/classify/facts.h"
#include "weir/util/attr.h"

#define CLASSIFY_MAX_SQL   (1024U * 1024U)
#define CLASSIFY_MAX_DEPTH 64

struct buf;

enum classify_flavour {
    CLASSIFY_MYSQL,
    CLASSIFY_MARIADB
};

/* sql_mode bits that change how text is read. */
#define CLASSIFY_MODE_ANSI_QUOTES          0x01U
#define CLASSIFY_MODE_NO_BACKSLASH_ESCAPES 0x02U
#define CLASSIFY_MODE_IGNORE_SPACE         0x04U
#define CLASSIFY_MODE_ORACLE               0x08U /* also MSSQL: nothing is a read */

/* What a byte >= 0x80 of character_set_client may hide. */
enum classify_charset {
    CLASSIFY_CS_SAFE,    /* utf8, utf8mb3, utf8mb4 */
    CLASSIFY_CS_BYTE,    /* single byte, euc*, gb2312: no trail byte below 0x80, but such a byte
                            may be white space */
    CLASSIFY_CS_GBK,     /* trail 0x40-0x7e, 0x80-0xfe */
    CLASSIFY_CS_BIG5,    /* trail 0x40-0x7e, 0xa1-0xfe */
    CLASSIFY_CS_SJIS,    /* sjis, cp932: lead 0x81-0x9f 0xe0-0xfc, trail 0x40-0x7e 0x80-0xfc */
    CLASSIFY_CS_GB18030, /* two bytes as gbk, or four */
    CLASSIFY_CS_UNKNOWN  /* pessimistic: nothing is a read */
};

struct classify_env {
    enum classify_flavour flavour;
    uint32_t version; /* of the servers; 0: not known, executable comments are never a read */
    uint32_t sql_mode;
    enum classify_charset charset;
    bool is_multi;      /* the client may send several statements at once */
    struct span schema; /* the session's default schema, plain; empty: none */
};

/* Classify sql. ret_facts is wholly set (its arrays up to their counts). */
void classify_sql(struct span sql, const struct classify_env *env, struct facts *ret_facts);

/* The env bits of a sql_mode value as servers report it ("ANSI_QUOTES,STRICT_TRANS_TABLES"). */
uint32_t classify_mode_parse(struct span sql_mode);

/* The class of a character set by its server name ("utf8mb4", "gbk"); unknown names are
 * CLASSIFY_CS_UNKNOWN. Case does not matter. */
enum classify_charset classify_charset_parse(struct span name);

/* The plain name of a span in facts: quotes removed, doubled quotes halved, white space around
 * a qualified name's dot does not occur. Writes at most cap-1 bytes and a terminator; returns
 * the length of the whole name, so a result >= cap means that it was cut. */
size_t classify_name_decode(struct span name, char *dst, size_t cap);

/* information_schema, performance_schema, mysql, sys: plain name, any case. */
bool classify_is_system_schema(struct span schema);

struct classify_ids {
    uint32_t mask; /* 1u << enum facts_id_kind: those that are to be replaced */
    int64_t value[FACTS_ID_KINDS];
};

/* Append sql to out with every use in facts->ids that is in the mask replaced by an
 * expression of that value and of the same type; select items without an alias get one with the
 * text they had, so that the column keeps its name. facts must come from the same sql. 0, -ENOMEM,
 * or -WR_E_UNSUPPORTED when FACT(OVERFLOW) hides uses. */
WR_NODISCARD int classify_rewrite_ids(struct span sql, const struct facts *facts,
                                      const struct classify_ids *ids, struct buf *out);

/* Names at places where a table may stand, in statements of any kind (facts.tables lists those of
 * reads, exactly): for whom it is better to see one too many than to miss one. At most max; returns
 * their number. Spans as in facts.tables. */
size_t classify_mentions(struct span sql, const struct classify_env *env,
                         struct facts_table *tables, size_t max);

/* Whether a statement of any kind may call a stored or loadable function: also when that cannot be
 * told. What triggers and views do is not looked at. */
bool classify_may_call(struct span sql, const struct classify_env *env);

/* Whether a trigger's body, or any statement, may write tables that classify_mentions() does not
 * see: CALL, EXECUTE, INSERT and REPLACE without INTO, what cannot be read. */
bool classify_hides_writes(struct span sql, const struct classify_env *env);

/* Digest: literals become ?, lists of them collapse, white space and comments are normalised,
 * keywords are upper case. At most cap-1 bytes and a terminator are stored, *ret_len is their
 * number; the hash covers the whole normalised text, cut or not. */
uint64_t classify_digest(struct span sql, const struct classify_env *env, char *dst, size_t cap,
                         size_t *ret_len);

/* The hash alone: what classify_digest() returns for the same text, without writing it down. Shown
 * as 16 hex digits ("%016" PRIx64), in rules, logs and lists alike. */
uint64_t classify_digest_hash(struct span sql, const struct classify_env *env);

/* Names of the lists in facts.h; static storage, never NULL. */
const char *classify_verb_name(enum classify_verb verb);
const char *classify_why_name(enum classify_why why); /* short, for metrics: "user_variable" */
const char *classify_why_text(enum classify_why why); /* a sentence, for people */
const char *classify_pin_name(enum classify_pin pin);
const char *classify_hint_name(enum classify_hint hint);
/* One more, that has not come in a comment: it wins. value is borrowed by the facts. */
void classify_hint_add(struct facts *facts, struct span name, struct span value);
/* The n-th bit's name, n from 0; NULL past the last. */
const char *classify_fact_name(unsigned bit);

#endif
