/* SPDX-License-Identifier: Apache-2.0 */
/* test_keyword.c - the generated table is what keyword.txt says, and finds nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keyword_priv.h"

static uint16_t find(const char *word)
{
    return keyword_find((const uint8_t *)word, strlen(word));
}

static unsigned flags_of(const char *text)
{
    static const struct {
        char letter;
        unsigned flag;
    } letters[] = {{'m', KWF_MYSQL},    {'a', KWF_MARIADB},       {'s', KWF_SPACE},
                   {'u', KWF_VOLATILE}, {'U', KWF_VOLATILE_BARE}, {'F', KWF_FROM},
                   {'r', KWF_RESERVED}, {'k', KWF_PAREN},         {'t', KWF_TYPE},
                   {'c', KWF_CLAUSE}};
    unsigned flags = 0;
    for (; *text != '\0'; text++) {
        for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
            flags |= letters[i].letter == *text ? letters[i].flag : 0;
        }
    }
    return flags;
}

static void test_generated(void **state)
{
    (void)state;
    char line[256];
    unsigned words = 0;
    FILE *file = fopen(WEIR_SOURCE_DIR "/src/classify/keyword.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        char word[64];
        char rest[128] = "";
        if (line[0] == '#') {
            continue;
        }
        assert_true(sscanf(line, "%63s %127s", word, rest) >= 1);
        uint16_t id = find(word);
        assert_int_equal(id, ++words); /* ids go by the order of the file */
        const struct kw_def *def = keyword_def(id);
        assert_string_equal(def->text, word);
        unsigned flags = strpbrk(rest, "=<>") == NULL ? flags_of(rest) : 0;
        assert_int_equal(keyword_flags[id], flags);
        assert_int_equal(def->effect != KW_FX_NONE, strstr(line, "x=") != NULL);
        assert_int_equal(def->mariadb_min != 0, strstr(line, "ma>=") != NULL);
        for (char *p = word; *p != '\0'; p++) {
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        }
        assert_int_equal(find(word), id);
    }
    (void)fclose(file);
    assert_int_equal(words + 1, KW_COUNT_);
}

static void test_others(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "SELEC",
                                       "SELECTS",
                                       "SELECT_",
                                       "SBTEST1",
                                       "@",
                                       "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS_AND_SO_ON"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(find(none[i]), KW_NONE);
    }
    assert_int_equal(find("SeLeCt"), KW_SELECT);
}

/* A function with an effect is never on the list of harmless ones. */
static void test_lists_disjoint(void **state)
{
    (void)state;
    for (unsigned id = 1; id < KW_COUNT_; id++) {
        const struct kw_def *def = keyword_def((uint16_t)id);
        if (def->effect != KW_FX_NONE) {
            assert_int_equal(keyword_flags[id] & (KWF_MYSQL | KWF_MARIADB | KWF_PAREN | KWF_TYPE),
                             0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_lists_disjoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
