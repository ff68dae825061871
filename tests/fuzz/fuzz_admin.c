/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's statement: words lie inside the text, one behind the other; filters and options are
 * strings of bounded length; LIKE ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/words_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct span text)
{
    struct words words;
    const uint8_t *at = text.p;

    words_parse(text, &words);
    for (size_t i = 0; i < words.count; i++) {
        const struct word *word = &words.item[i];
        char name[WORDS_TEXT_MAX];
        uint64_t number = 0;

        if (word->text.len == 0 || word->text.p < at ||
            word->text.p + word->text.len > text.p + text.len) {
            abort();
        }
        at = word->text.p + word->text.len;
        if (word_text(word, name) && strlen(name) >= WORDS_TEXT_MAX) {
            abort();
        }
        (void)word_number(word, &number);
        (void)words_match(&words, "SHOW SERVERS");
    }
    for (size_t i = 0; i <= words.count && i < 4; i++) {
        struct words_filter filter;
        char schema[WORDS_TEXT_MAX];
        char table[WORDS_TEXT_MAX];

        if (words_table(&words, i, schema, table) &&
            (schema[0] == '\0' || strlen(schema) >= WORDS_TEXT_MAX || table[0] == '\0' ||
             strlen(table) >= WORDS_TEXT_MAX)) {
            abort();
        }

        if (words_filter(&words, i, &filter) && filter.has_like) {
            (void)words_like(text, filter.like);
            /* its own text fits a pattern without wild cards */
            if (strpbrk(filter.like, "%_\\") == NULL &&
                !words_like(span_of(filter.like), filter.like)) {
                abort();
            }
        }
    }
}

static void check_explain(struct span text)
{
    struct words_explain explain;

    if (words_explain(text, &explain) &&
        (explain.sql.p < text.p || explain.sql.p + explain.sql.len > text.p + text.len ||
         strlen(explain.user) >= WORDS_TEXT_MAX || strlen(explain.schema) >= WORDS_TEXT_MAX)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);

    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    check_words((struct span){bytes, size});
    check_explain((struct span){bytes, size});
    free(bytes);
    return 0;
}
