/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - names of lists, character sets, sql_mode words and schemas. */
#include "weir/classify/classify.h"

static const char *const verb_names[] = {
#define X(name, text) text,
    CLASSIFY_VERBS(X)
#undef X
};

static const char *const pin_names[] = {
#define X(name, text) text,
    CLASSIFY_PINS(X)
#undef X
};

static const char *const hint_names[] = {
#define X(name, text) text,
    CLASSIFY_HINTS(X)
#undef X
};

static const struct {
    const char *name;
    const char *text;
} whys[] = {
#define X(name, label, text) {label, text},
    CLASSIFY_WHYS(X)
#undef X
};

const char *classify_verb_name(enum classify_verb verb)
{
    return (unsigned)verb < VERB_END_ ? verb_names[verb] : "?";
}

const char *classify_why_name(enum classify_why why)
{
    return (unsigned)why < WHY_END_ ? whys[why].name : "?";
}

const char *classify_why_text(enum classify_why why)
{
    return (unsigned)why < WHY_END_ ? whys[why].text : "?";
}

const char *classify_pin_name(enum classify_pin pin)
{
    return (unsigned)pin < PIN_END_ ? pin_names[pin] : "?";
}

const char *classify_hint_name(enum classify_hint hint)
{
    return (unsigned)hint < HINT_END_ ? hint_names[hint] : "?";
}

const char *classify_fact_name(unsigned bit)
{
    switch (bit) {
#define X(name, number, text) \
    case (number):            \
        return text;
        CLASSIFY_FACTS(X)
#undef X
    default:
        return NULL;
    }
}

static const struct {
    const char *word;
    uint32_t bit;
} mode_words[] = {
    {"ANSI_QUOTES", CLASSIFY_MODE_ANSI_QUOTES},
    {"ANSI", CLASSIFY_MODE_ANSI_QUOTES | CLASSIFY_MODE_IGNORE_SPACE},
    {"NO_BACKSLASH_ESCAPES", CLASSIFY_MODE_NO_BACKSLASH_ESCAPES},
    {"IGNORE_SPACE", CLASSIFY_MODE_IGNORE_SPACE},
    {"ORACLE", CLASSIFY_MODE_ORACLE | CLASSIFY_MODE_ANSI_QUOTES | CLASSIFY_MODE_IGNORE_SPACE},
    {"MSSQL", CLASSIFY_MODE_ORACLE | CLASSIFY_MODE_ANSI_QUOTES | CLASSIFY_MODE_IGNORE_SPACE},
};

uint32_t classify_mode_parse(struct span sql_mode)
{
    uint32_t bits = 0;
    size_t start = 0;
    for (size_t i = 0; i <= sql_mode.len; i++) {
        if (i < sql_mode.len && sql_mode.p[i] != ',') {
            continue;
        }
        struct span word = {sql_mode.p + start, i - start};
        for (size_t k = 0; k < sizeof(mode_words) / sizeof(mode_words[0]); k++) {
            if (span_eq_text_nocase(word, mode_words[k].word)) {
                bits |= mode_words[k].bit;
            }
        }
        start = i + 1;
    }
    return bits;
}

/* Known sets only: one that is not here could hide a quote in any byte (swe7 has letters where
 * ASCII has the backslash and the backtick). */
static const struct {
    const char *name;
    enum classify_charset charset;
} charsets[] = {
    {"utf8mb4", CLASSIFY_CS_SAFE},    {"utf8mb3", CLASSIFY_CS_SAFE}, {"utf8", CLASSIFY_CS_SAFE},
    {"latin1", CLASSIFY_CS_BYTE},     {"ascii", CLASSIFY_CS_BYTE},   {"binary", CLASSIFY_CS_BYTE},
    {"latin2", CLASSIFY_CS_BYTE},     {"latin5", CLASSIFY_CS_BYTE},  {"latin7", CLASSIFY_CS_BYTE},
    {"cp1250", CLASSIFY_CS_BYTE},     {"cp1251", CLASSIFY_CS_BYTE},  {"cp1256", CLASSIFY_CS_BYTE},
    {"cp1257", CLASSIFY_CS_BYTE},     {"cp850", CLASSIFY_CS_BYTE},   {"cp852", CLASSIFY_CS_BYTE},
    {"cp866", CLASSIFY_CS_BYTE},      {"dec8", CLASSIFY_CS_BYTE},    {"hp8", CLASSIFY_CS_BYTE},
    {"koi8r", CLASSIFY_CS_BYTE},      {"koi8u", CLASSIFY_CS_BYTE},   {"greek", CLASSIFY_CS_BYTE},
    {"hebrew", CLASSIFY_CS_BYTE},     {"tis620", CLASSIFY_CS_BYTE},  {"armscii8", CLASSIFY_CS_BYTE},
    {"geostd8", CLASSIFY_CS_BYTE},    {"keybcs2", CLASSIFY_CS_BYTE}, {"macce", CLASSIFY_CS_BYTE},
    {"macroman", CLASSIFY_CS_BYTE},   {"ujis", CLASSIFY_CS_BYTE},    {"eucjpms", CLASSIFY_CS_BYTE},
    {"euckr", CLASSIFY_CS_BYTE},      {"gb2312", CLASSIFY_CS_BYTE},  {"gbk", CLASSIFY_CS_GBK},
    {"big5", CLASSIFY_CS_BIG5},       {"sjis", CLASSIFY_CS_SJIS},    {"cp932", CLASSIFY_CS_SJIS},
    {"gb18030", CLASSIFY_CS_GB18030},
};

enum classify_charset classify_charset_parse(struct span name)
{
    for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++) {
        if (span_eq_text_nocase(name, charsets[i].name)) {
            return charsets[i].charset;
        }
    }
    return CLASSIFY_CS_UNKNOWN;
}

bool classify_is_system_schema(struct span schema)
{
    switch (schema.len) {
    case 3:
        return span_eq_text_nocase(schema, "sys");
    case 5:
        return span_eq_text_nocase(schema, "mysql");
    case 18:
        return span_eq_text_nocase(schema, "information_schema") ||
               span_eq_text_nocase(schema, "performance_schema");
    default:
        return false;
    }
}

size_t classify_name_decode(struct span name, char *dst, size_t cap)
{
    size_t len = 0;
    size_t i = 0;
    size_t end = name.len;
    uint8_t quote = 0;
    if (name.len >= 2 && (name.p[0] == '`' || name.p[0] == '"')) {
        quote = name.p[0];
        i = 1;
        end = name.len - 1;
    }
    for (; i < end; i++) {
        if (quote != 0 && name.p[i] == quote && i + 1 < end) {
            i++;
        }
        if (len + 1 < cap) {
            dst[len] = (char)name.p[i];
        }
        len++;
    }
    if (cap > 0) {
        dst[len < cap ? len : cap - 1] = '\0';
    }
    return len;
}
