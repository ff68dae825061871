/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_need.c - what a text must hold for an expression to be found in it: by hand, and for thousands
 * of made-up expressions and texts against PCRE2 itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "weir/util/rand.h"

#include "rule_priv.h"

#define LEAST 5

/* The pieces with | between them; "-" when nothing is known. */
static void show(const char *pattern, char *dst, size_t cap)
{
    struct rule_need need;
    size_t len = 0;

    if (!rule_need_read(pattern, LEAST, &need)) {
        (void)snprintf(dst, cap, "-");
        return;
    }
    for (unsigned i = 0; i < need.count; i++) {
        len += (size_t)snprintf(dst + len, cap - len, "%s%.*s", i == 0 ? "" : "|",
                                (int)need.way[i].len, (const char *)need.way[i].text);
    }
}

static void test_by_hand(void **state)
{
    static const struct {
        const char *pattern;
        const char *want;
    } rows[] = {
        {"FROM reports", "FROM reports"},
        {"^SELECT .* FROM\\s+reports\\b", "reports"},
        {"SELECT DISTINCT .* GROUP BY", " GROUP BY"},
        {"abcdef?gh", "abcde"},
        {"abcdef*ghijkl", "ghijkl"},
        {"abcdef+gh", "abcdef"},
        {"abcdef{2}gh", "abcde"},
        {"abcde{0}", "-"},
        {"abcdef{x}", "-"},
        {"orders|customers", "orders|customers"},
        {"orders|c", "-"},
        {"orders|", "-"},
        {"(a|b)orders(c|d)?", "orders"},
        {"(orders)", "-"},
        {"(orders", "-"},
        {"shop\\.orders", "shop.orders"},
        {"a[]x]bcdefg[[:alpha:]]", "bcdefg"},
        {"[a-z]+_audit_[0-9]", "_audit_"},
        {"[abcdef", "-"},
        {"[[.a.]]abcdef", "-"},
        {"(?i)orders", "orders"},
        {"(?x)ord ers # orders", "-"},
        {"(?-x)orders", "-"},
        {"(?#|)orders", "-"},
        {"(?=orders)x", "-"},
        {"(?<n>a)orders", "orders"},
        {"(?1)orders(a)", "-"},
        {"(*ACCEPT)orders", "-"},
        {"a(b(*ACCEPT))orders", "-"},
        {"\\Qor|ders\\E", "-"},
        {"\\x41bcdefg", "-"},
        {"\\dabcdef", "abcdef"},
        {"abcdef\\", "-"},
        {"abcd", "-"},
        {"", "-"},
        {"abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz012345"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char got[600];

        show(rows[i].pattern, got, sizeof(got));
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s: %s, not %s", rows[i].pattern, got, rows[i].want);
        }
    }
}

/* --- against PCRE2 --- */

static const char *const ATOMS[] = {
    "a",  "b",   "A",    "B",       "ab",      "abAB",    "bbabb", "ababab", "a",     "b",
    "?",  "*",   "+",    "{0,1}",   "{2}",     "{1,}",    "|",     "(",      ")",     "(",
    ")",  "(?:", "(?=",  "(?!",     "(?<=",    "(?>",     ".",     "^",      "$",     "[ab]",
    "[^", "]",   "[]a]", "\\w",     "\\b",     "\\(",     "(?i)",  "(?x)",   "\\Q",   "\\E",
    "#",  " ",   "(*A",  "CCEPT)",  "(?|",     "(?(1)",   "(?1)",  "(?R)",   "\\1",   "\\K",
    "{",  "}",   "(?s)", "[[:a",    "lpha:]]", "(*FAIL)", "(?#",   "\\x61",  "\\cA",  "(?<n>",
    "\\", "-",   "ba",   "(?:ab)+", "aabb",    "\\N",     "\\R",   "\\d",    "(?-i)", "(?^)",
};

static size_t random_pattern(struct rand_state *rng, char *dst, size_t cap)
{
    size_t atoms = 1 + rand_below(rng, 9);
    size_t len = 0;

    for (size_t i = 0; i < atoms; i++) {
        const char *atom = rand_below(rng, 2) == 0
                               ? ATOMS[rand_below(rng, 10)]
                               : ATOMS[rand_below(rng, sizeof(ATOMS) / sizeof(ATOMS[0]))];

        len += (size_t)snprintf(dst + len, cap - len, "%s", atom);
    }
    return len;
}

static void random_text(struct rand_state *rng, char *dst, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        dst[i] = "aabbaabbABab (#"[rand_below(rng, 15)];
    }
    dst[len] = '\0';
}

static bool is_found(const pcre2_code *code, pcre2_match_data *data, const char *text)
{
    return pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL) >= 0;
}

/* Would the rule with this need be looked at for this text? */
static bool is_asked(const struct rule_need *need, const char *text)
{
    struct rule_grams grams = {.step = 2};
    size_t at = 0;
    bool found = false;

    for (unsigned i = 0; i < need->count; i++) {
        assert_int_equal(rule_grams_file(&grams, &need->way[i], 7), 0);
    }
    for (const struct rule_ids *ids = rule_grams_next(&grams, span_of(text), &at); ids != NULL;
         ids = rule_grams_next(&grams, span_of(text), &at)) {
        found = found || ids->id[0] == 7;
    }
    rule_grams_free(&grams);
    return found;
}

static void test_against_pcre(void **state)
{
    struct rand_state rng;
    pcre2_match_data *data = pcre2_match_data_create(16, NULL);
    unsigned known = 0;
    unsigned matched = 0;
    unsigned spared = 0;

    (void)state;
    rand_seed(&rng, 20261126);
    for (unsigned round = 0; round < 60000; round++) {
        char pattern[200];
        struct rule_need need;
        uint32_t options = PCRE2_DOTALL | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
                           (rand_below(&rng, 2) == 0 ? PCRE2_CASELESS : 0U);
        PCRE2_SIZE at = 0;
        int error = 0;
        size_t len = random_pattern(&rng, pattern, sizeof(pattern));
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &at, NULL);

        for (unsigned i = 0; code != NULL && i < 20; i++) {
            char text[64];
            bool asked = false;

            random_text(&rng, text, rand_below(&rng, 60));
            if (!rule_need_read(pattern, LEAST, &need)) {
                break;
            }
            known++;
            asked = is_asked(&need, text);
            spared += asked ? 0 : 1;
            if (is_found(code, data, text)) {
                matched++;
                if (!asked) {
                    fail_msg("%s is found in '%s', and was not asked", pattern, text);
                }
            }
        }
        pcre2_code_free(code);
    }
    pcre2_match_data_free(data);
    print_message("%u texts for expressions of known needs: %u found, %u spared\n", known, matched,
                  spared);
    assert_true(known > 50000 && matched > 3000 && spared > 5000);
}

/* Every piece is found wherever it stands in a text, at even and odd places. */
static void test_places(void **state)
{
    static const char word[] = "tenant_4711_orders";

    (void)state;
    for (unsigned step = 1; step <= 2; step++) {
        for (size_t len = RULE_GRAM + step - 1; len <= strlen(word); len++) {
            struct rule_grams grams = {.step = step};
            struct rule_piece piece = {.len = (uint8_t)len};

            memcpy(piece.text, word, len);
            assert_int_equal(rule_grams_file(&grams, &piece, 1), 0);
            for (size_t before = 0; before < 9; before++) {
                char text[64];
                size_t at = 0;

                (void)snprintf(text, sizeof(text), "%.*s%.*s", (int)before, "........", (int)len,
                               "TENANT_4711_ORDERS");
                assert_non_null(rule_grams_next(&grams, span_of(text), &at));
                at = 0;
                text[before + len - 1] = '\0';
                if (len == RULE_GRAM + step - 1) {
                    bool is_some = rule_grams_next(&grams, span_of(text), &at) != NULL;

                    assert_true(step == 2 || !is_some);
                }
            }
            rule_grams_free(&grams);
        }
    }
}

static void test_stars(void **state)
{
    static const struct {
        const char *word;
        const char *want;
    } rows[] = {{"log_*", "log_"}, {"*", ""},          {"a*bcd*ef", "bcd"},
                {"**x", "x"},      {"plain", "plain"}, {"ab*cd", "ab"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rule_piece piece;

        rule_need_star(rows[i].word, &piece);
        assert_int_equal(piece.len, strlen(rows[i].want));
        assert_memory_equal(piece.text, rows[i].want, piece.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_pcre),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_stars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
