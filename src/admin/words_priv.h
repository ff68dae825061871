/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words - an operator's statement cut into words, and the command that it names.
 *
 * WHY       Pure, so that tables and a fuzzer can prove it.
 * OWNS      none: words borrow the text.
 * THREADS   any
 * REENTRY   none
 * UNITS     bytes
 * ERRORS    false: it is not such a thing.
 * BOUNDS    WORDS_MAX words are kept; what follows is looked at by those who scan the text.
 */
#ifndef WEIR_ADMIN_WORDS_PRIV_H
#define WEIR_ADMIN_WORDS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/util/str.h"

#define WORDS_MAX      32
#define WORDS_TEXT_MAX 256 /* of a string or a name, with its terminator */

enum word_kind {
    WORD_END,
    WORD_NAME,   /* letters, digits, _ $ . @ - behind a letter, @ or _; any byte >= 0x80 */
    WORD_NUMBER, /* digits */
    WORD_STRING, /* '...' or "...", quotes included */
    WORD_QUOTED, /* `...` */
    WORD_MARK,   /* any other byte */
};

struct word {
    enum word_kind kind;
    struct span text;
    bool is_cut; /* a quote or a comment is not closed */
};

struct words_scan {
    const uint8_t *p;
    const uint8_t *end;
};

struct words {
    struct word item[WORDS_MAX];
    size_t count;
    bool is_cut;
    bool has_more;
    struct span text; /* all of it */
};

void words_scan_init(struct words_scan *scan, struct span text);
/* The next word, comments skipped. False: the end; *ret_word is WORD_END then. */
bool words_scan_next(struct words_scan *scan, struct word *ret_word);
/* A trailing ";" does not count. */
void words_parse(struct span text, struct words *ret_words);

bool word_is(const struct word *word, const char *name); /* a name, case ignored */
bool word_is_mark(const struct word *word, char mark);
/* A name, quoted name, string or number as text. False: none of these, too long, or it holds
 * a 0x00. */
bool word_text(const struct word *word, char dst[WORDS_TEXT_MAX]);
bool word_number(const struct word *word, uint64_t *ret_number);

/* [LIKE 'x'] [LIMIT n] from word `at` to the end. */
struct words_filter {
    bool has_like;
    char like[WORDS_TEXT_MAX];
    uint64_t limit; /* UINT64_MAX: none */
};
bool words_filter(const struct words *words, size_t at, struct words_filter *ret_filter);
/* SQL's LIKE, case ignored: % _ and \ before either. Linear in text for one %, and never worse
 * than text times pattern. */
bool words_like(struct span text, const char *pattern);

/* SCHEMA.NAME from word `at` to the end: one word or three, bare, in `...` or in '...'. A bare word
 * and a string may hold the dot; between backticks it is a letter. */
bool words_table(const struct words *words, size_t at, char schema[WORDS_TEXT_MAX],
                 char name[WORDS_TEXT_MAX]);

/* How many of the statement's words the command's name ("SHOW SERVERS") takes: all or 0. */
size_t words_match(const struct words *words, const char *name);

/* EXPLAIN ROUTE: the parts behind these two words. Options may stand in front, or behind the
 * statement when none stood in front; behind a ";" they are taken as options for certain. */
struct words_explain {
    struct span sql;
    bool has_user;
    bool has_schema;
    char user[WORDS_TEXT_MAX];
    char schema[WORDS_TEXT_MAX];
};
bool words_explain(struct span text, struct words_explain *ret_explain);

#endif
