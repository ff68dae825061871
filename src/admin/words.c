/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "words_priv.h"

/* --- the scanner --- */

static bool is_name_start(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@' || c >= 0x80;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_part(uint8_t c)
{
    return is_name_start(c) || is_digit(c) || c == '$' || c == '.' || c == '-' || c == '#';
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void words_scan_init(struct words_scan *scan, struct span text)
{
    static const uint8_t nothing[1];

    scan->p = text.p != NULL ? text.p : nothing;
    scan->end = scan->p + text.len;
}

static bool begins(const struct words_scan *scan, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(scan->end - scan->p) >= len && memcmp(scan->p, text, len) == 0;
}

static void skip_line(struct words_scan *scan)
{
    while (scan->p < scan->end && *scan->p != '\n') {
        scan->p++;
    }
}

/* White space and comments. True: a comment is not closed. */
static bool skip_blank(struct words_scan *scan)
{
    while (scan->p < scan->end) {
        if (is_space(*scan->p)) {
            scan->p++;
        } else if (begins(scan, "/*")) {
            scan->p += 2;
            while (scan->p < scan->end && !begins(scan, "*/")) {
                scan->p++;
            }
            if (scan->p == scan->end) {
                return true;
            }
            scan->p += 2;
        } else if (*scan->p == '#' ||
                   (begins(scan, "--") && (scan->end - scan->p == 2 || is_space(scan->p[2])))) {
            skip_line(scan);
        } else {
            return false;
        }
    }
    return false;
}

/* Behind the closing quote. False: there is none. */
static bool skip_quoted(struct words_scan *scan, bool has_escapes)
{
    uint8_t quote = *scan->p++;

    while (scan->p < scan->end) {
        if (has_escapes && *scan->p == '\\' && scan->end - scan->p > 1) {
            scan->p += 2;
        } else if (*scan->p != quote) {
            scan->p++;
        } else if (scan->end - scan->p > 1 && scan->p[1] == quote) {
            scan->p += 2;
        } else {
            scan->p++;
            return true;
        }
    }
    return false;
}

bool words_scan_next(struct words_scan *scan, struct word *ret_word)
{
    bool is_cut = skip_blank(scan);
    const uint8_t *begin = scan->p;

    *ret_word = (struct word){.kind = WORD_END, .text = {begin, 0}, .is_cut = is_cut};
    if (scan->p == scan->end) {
        return false;
    }
    if (*begin == '\'' || *begin == '"' || *begin == '`') {
        ret_word->kind = *begin == '`' ? WORD_QUOTED : WORD_STRING;
        ret_word->is_cut = !skip_quoted(scan, *begin != '`');
    } else if (is_name_start(*begin)) {
        ret_word->kind = WORD_NAME;
        while (scan->p < scan->end && is_name_part(*scan->p)) {
            scan->p++;
        }
    } else if (is_digit(*begin)) {
        ret_word->kind = WORD_NUMBER;
        while (scan->p < scan->end && is_name_part(*scan->p)) {
            ret_word->kind = is_digit(*scan->p) ? ret_word->kind : WORD_NAME;
            scan->p++;
        }
    } else {
        ret_word->kind = WORD_MARK;
        scan->p++;
    }
    ret_word->text.len = (size_t)(scan->p - begin);
    return true;
}

void words_parse(struct span text, struct words *ret_words)
{
    struct words_scan scan;
    struct word word;

    ret_words->count = 0;
    ret_words->is_cut = false;
    ret_words->has_more = false;
    ret_words->text = text;
    words_scan_init(&scan, text);
    while (words_scan_next(&scan, &word)) {
        ret_words->is_cut = ret_words->is_cut || word.is_cut;
        if (ret_words->count == WORDS_MAX) {
            ret_words->has_more = true;
            return;
        }
        ret_words->item[ret_words->count++] = word;
    }
    ret_words->is_cut = ret_words->is_cut || word.is_cut;
    while (ret_words->count > 0 && word_is_mark(&ret_words->item[ret_words->count - 1], ';')) {
        ret_words->count--;
    }
}

/* --- single words --- */

bool word_is(const struct word *word, const char *name)
{
    return word->kind == WORD_NAME && span_eq_text_nocase(word->text, name);
}

bool word_is_mark(const struct word *word, char mark)
{
    return word->kind == WORD_MARK && word->text.p[0] == (uint8_t)mark;
}

/* What stands between the quotes. A backslash is kept before % and _, which LIKE wants to see. */
static bool unquote(struct span text, bool has_escapes, char dst[WORDS_TEXT_MAX])
{
    uint8_t quote = text.p[0];
    size_t len = 0;

    for (size_t i = 1; i + 1 < text.len; i++) {
        uint8_t c = text.p[i];

        if (c == quote) {
            i++; /* doubled */
        } else if (has_escapes && c == '\\' && i + 2 < text.len) {
            uint8_t next = text.p[i + 1];

            if (next != '%' && next != '_') {
                c = next;
                i++;
            }
        }
        if (c == '\0' || len + 1 >= WORDS_TEXT_MAX) {
            return false;
        }
        dst[len++] = (char)c;
    }
    dst[len] = '\0';
    return true;
}

bool word_text(const struct word *word, char dst[WORDS_TEXT_MAX])
{
    dst[0] = '\0';
    if (word->is_cut) {
        return false;
    }
    switch (word->kind) {
    case WORD_NAME:
    case WORD_NUMBER:
        if (word->text.len >= WORDS_TEXT_MAX) {
            return false;
        }
        (void)span_copy(word->text, dst, WORDS_TEXT_MAX);
        return true;
    case WORD_STRING:
    case WORD_QUOTED:
        return unquote(word->text, word->kind == WORD_STRING, dst);
    case WORD_MARK:
    case WORD_END:
        return false;
    }
    return false;
}

bool word_number(const struct word *word, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (word->kind != WORD_NUMBER || word->text.len > 18) {
        return false;
    }
    for (size_t i = 0; i < word->text.len; i++) {
        number = number * 10 + (uint64_t)(word->text.p[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* --- LIKE, LIMIT --- */

static uint8_t folded(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* One character of the pattern against one byte; *ret_len: bytes of the pattern that it takes. */
static bool like_one(const char *pattern, uint8_t c, size_t *ret_len)
{
    bool is_escaped = pattern[0] == '\\' && pattern[1] != '\0';
    uint8_t want = (uint8_t)pattern[is_escaped ? 1 : 0];

    *ret_len = is_escaped ? 2 : 1;
    return (!is_escaped && want == '_') || folded(want) == folded(c);
}

bool words_like(struct span text, const char *pattern)
{
    const char *star = NULL; /* behind the last % */
    size_t star_at = 0;      /* where its run of text begins to be tried */
    size_t at = 0;
    size_t len = 0;

    while (at < text.len) {
        if (*pattern == '%') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern != '\0' && like_one(pattern, text.p[at], &len)) {
            pattern += len;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '%') {
        pattern++;
    }
    return *pattern == '\0';
}

bool words_filter(const struct words *words, size_t at, struct words_filter *ret_filter)
{
    *ret_filter = (struct words_filter){.limit = UINT64_MAX};
    if (words->has_more || words->is_cut) {
        return false;
    }
    if (at + 1 < words->count && word_is(&words->item[at], "LIKE")) {
        if (words->item[at + 1].kind != WORD_STRING ||
            !word_text(&words->item[at + 1], ret_filter->like)) {
            return false;
        }
        ret_filter->has_like = true;
        at += 2;
    }
    if (at + 1 < words->count && word_is(&words->item[at], "LIMIT")) {
        if (!word_number(&words->item[at + 1], &ret_filter->limit)) {
            return false;
        }
        at += 2;
    }
    return at == words->count;
}

bool words_table(const struct words *words, size_t at, char schema[WORDS_TEXT_MAX],
                 char name[WORDS_TEXT_MAX])
{
    char *const parts[2] = {schema, name};
    size_t part = 0;

    schema[0] = '\0';
    name[0] = '\0';
    for (; at < words->count; at++) {
        const struct word *word = &words->item[at];
        char text[WORDS_TEXT_MAX];
        const char *dot = NULL;

        if (word_is_mark(word, '.')) {
            if (part++ == 1) {
                return false;
            }
            continue;
        }
        if (!word_text(word, text) || parts[part][0] != '\0') {
            return false;
        }
        dot = word->kind == WORD_QUOTED ? NULL : strchr(text, '.');
        if (dot == NULL) {
            (void)span_copy(span_of(text), parts[part], WORDS_TEXT_MAX);
            continue;
        }
        if (part == 1 || strchr(dot + 1, '.') != NULL) {
            return false;
        }
        (void)span_copy((struct span){(const uint8_t *)text, (size_t)(dot - text)}, schema,
                        WORDS_TEXT_MAX);
        (void)span_copy(span_of(dot + 1), name, WORDS_TEXT_MAX);
        part = 1;
    }
    return schema[0] != '\0' && name[0] != '\0' && !words->has_more && !words->is_cut;
}

size_t words_match(const struct words *words, const char *name)
{
    size_t count = 0;

    while (*name != '\0') {
        size_t len = strcspn(name, " ");

        if (count == words->count || words->item[count].kind != WORD_NAME ||
            !span_eq_nocase(words->item[count].text, (struct span){(const uint8_t *)name, len})) {
            return 0;
        }
        count++;
        name += len;
        name += *name == ' ' ? 1 : 0;
    }
    return count;
}

/* --- EXPLAIN ROUTE --- */

/* word and value as an option that was not given yet. */
static bool option_take(const struct word *word, const struct word *value,
                        struct words_explain *explain)
{
    bool is_user = word_is(word, "AS");

    if (value->kind == WORD_MARK || value->kind == WORD_END || value->kind == WORD_NUMBER) {
        return false;
    }
    if (is_user && !explain->has_user) {
        explain->has_user = word_text(value, explain->user);
        return explain->has_user;
    }
    if (word_is(word, "IN") && !explain->has_schema) {
        explain->has_schema = word_text(value, explain->schema);
        return explain->has_schema;
    }
    return false;
}

/* In front of the statement; no statement begins with AS or IN. False: an option without value. */
static bool options_front(struct words_scan *scan, struct words_explain *explain)
{
    for (;;) {
        struct words_scan ahead = *scan;
        struct word word;
        struct word value;

        (void)words_scan_next(&ahead, &word);
        if (!word_is(&word, "AS") && !word_is(&word, "IN")) {
            return true;
        }
        (void)words_scan_next(&ahead, &value);
        if (!option_take(&word, &value, explain)) {
            return false;
        }
        *scan = ahead;
    }
}

/* The last words of the text, oldest first: room for ; AS x IN y ; and some of the statement. */
#define TAIL 12
struct tail {
    struct word word[TAIL]; /* ; AS x IN y ; */
    size_t count;
};

static void tail_push(struct tail *tail, const struct word *word)
{
    if (tail->count == TAIL) {
        memmove(&tail->word[0], &tail->word[1], (TAIL - 1) * sizeof(tail->word[0]));
        tail->count--;
    }
    tail->word[tail->count++] = *word;
}

/* Without the ; at the end. */
static void tail_end(struct tail *tail, struct words_explain *explain)
{
    while (tail->count > 0 && word_is_mark(&tail->word[tail->count - 1], ';')) {
        tail->count--;
        explain->sql.len = (size_t)(tail->word[tail->count].text.p - explain->sql.p);
    }
}

/* Behind the statement. */
static void options_back(struct words_explain *explain)
{
    struct words_scan scan;
    struct word word;
    struct tail tail = {.count = 0};

    words_scan_init(&scan, explain->sql);
    while (words_scan_next(&scan, &word)) {
        tail_push(&tail, &word);
    }
    tail_end(&tail, explain);
    /* at least one word of the statement itself stays */
    while (tail.count >= 3 &&
           option_take(&tail.word[tail.count - 2], &tail.word[tail.count - 1], explain)) {
        tail.count -= 2;
        explain->sql.len = (size_t)(tail.word[tail.count].text.p - explain->sql.p);
    }
    tail_end(&tail, explain);
}

bool words_explain(struct span text, struct words_explain *ret_explain)
{
    struct words_scan scan;
    struct word word;

    memset(ret_explain, 0, sizeof(*ret_explain));
    words_scan_init(&scan, text);
    (void)words_scan_next(&scan, &word); /* EXPLAIN */
    (void)words_scan_next(&scan, &word); /* ROUTE */
    if (!options_front(&scan, ret_explain)) {
        return false;
    }
    while (scan.p < scan.end &&
           isspace(*scan.p)) { /* expressions of rules look at the first byte */
        scan.p++;
    }
    ret_explain->sql = (struct span){scan.p, (size_t)(scan.end - scan.p)};
    if (!ret_explain->has_user && !ret_explain->has_schema) {
        options_back(ret_explain);
    }
    words_scan_init(&scan, ret_explain->sql);
    return words_scan_next(&scan, &word);
}
