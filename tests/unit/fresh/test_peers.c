/* SPDX-License-Identifier: Apache-2.0 */
/* Who is heard and until when: echoes, gaps, silence, good byes, too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "peers_priv.h"

#define SELF   UINT64_C(7)
#define S      UINT64_C(1000000)
#define FORGET (60 * S)

static struct peers_news hear(struct peers *peers, uint64_t instance, uint64_t number, uint64_t us)
{
    const struct message_head head = {
        .kind = MESSAGE_MARKS, .instance = instance, .number = number};

    return peers_hear(peers, &head, us);
}

static struct peers_news bye(struct peers *peers, uint64_t instance, uint64_t number, uint64_t us)
{
    const struct message_head head = {.kind = MESSAGE_BYE, .instance = instance, .number = number};

    return peers_hear(peers, &head, us);
}

/* Sent and back at once. */
static void echo(struct peers *peers, uint64_t us)
{
    uint64_t number = peers_send(peers, us);

    (void)hear(peers, SELF, number, us);
}

static void echoes(void **unused)
{
    struct peers peers;
    struct peers_news news;

    (void)unused;
    peers_init(&peers, SELF, FORGET);
    assert_int_equal(peers_hear_until_us(&peers, S), 0);
    assert_int_equal(peers_send(&peers, S), 1);
    assert_int_equal(peers_hear_until_us(&peers, S), 0); /* not back yet */
    news = hear(&peers, SELF, 5, S);                     /* never sent */
    assert_int_equal(news.said, PEERS_OLD);
    assert_int_equal(peers_hear_until_us(&peers, S), 0);
    news = hear(&peers, SELF, 1, 2 * S); /* late: it counts from when it was sent */
    assert_int_equal(news.said, PEERS_FIRST);
    assert_true(news.is_self);
    assert_int_equal(peers_hear_until_us(&peers, 2 * S), S + PEERS_LEASE_US);
    news = hear(&peers, SELF, 1, 2 * S); /* once more */
    assert_int_equal(news.said, PEERS_OLD);
    assert_int_equal(peers_send(&peers, 3 * S), 2);
    assert_int_equal(peers_send(&peers, 4 * S), 3);
    news = hear(&peers, SELF, 3, 4 * S); /* our own gap is a gap */
    assert_int_equal(news.said, PEERS_MISSED);
    assert_int_equal(news.lost, 1);
    assert_int_equal(peers_hear_until_us(&peers, 4 * S), 4 * S + PEERS_LEASE_US);
    peers_cut(&peers);
    assert_int_equal(peers_hear_until_us(&peers, 4 * S), 0);
    (void)peers_send(&peers,
                     5 * S); /* lost with the subscription: no gap, for all is missed then */
    assert_int_equal(peers_send(&peers, 6 * S), 5);
    news = hear(&peers, SELF, 5, 6 * S);
    assert_int_equal(news.said, PEERS_FIRST);
    assert_int_equal(peers_hear_until_us(&peers, 6 * S), 6 * S + PEERS_LEASE_US);
    /* so long under way that nobody knows when it was sent */
    for (unsigned i = 0; i < 2 * PEERS_SENT; i++) {
        (void)peers_send(&peers, 7 * S);
    }
    (void)hear(&peers, SELF, 6, 7 * S);
    assert_true(peers_hear_until_us(&peers, 7 * S) < 7 * S);
}

static void gaps(void **unused)
{
    struct peers peers;
    struct peers_news news;

    (void)unused;
    peers_init(&peers, SELF, FORGET);
    echo(&peers, S);
    news = hear(&peers, 1, 1, S);
    assert_int_equal(news.said, PEERS_FIRST);
    assert_true(news.is_new);
    news = hear(&peers, 2, 40, S); /* it has been there for a while: something was missed */
    assert_int_equal(news.said, PEERS_MISSED);
    assert_true(news.is_new);
    assert_int_equal(news.lost, 0);
    assert_int_equal(peers_count(&peers), 2);
    news = hear(&peers, 1, 2, S);
    assert_int_equal(news.said, PEERS_NEXT);
    assert_false(news.is_new);
    news = hear(&peers, 1, 5, S);
    assert_int_equal(news.said, PEERS_MISSED);
    assert_int_equal(news.lost, 2);
    news = hear(&peers, 1, 6, S);
    assert_int_equal(news.said, PEERS_NEXT);
    news = hear(&peers, 0, 1, S); /* no weir has this id */
    assert_int_equal(news.said, PEERS_OLD);
    /* who repeats what has been shows no sign of life */
    echo(&peers, 2 * S);
    (void)hear(&peers, 2, 41, 2 * S);
    for (uint64_t n = 1; n <= 6; n++) {
        news = hear(&peers, 1, n, 2 * S);
        assert_int_equal(news.said, PEERS_OLD);
    }
    assert_int_equal(peers_hear_until_us(&peers, 2 * S), S + PEERS_LEASE_US);
}

static void silence(void **unused)
{
    struct peers peers;
    struct peers_news news;

    (void)unused;
    peers_init(&peers, SELF, FORGET);
    echo(&peers, S);
    (void)hear(&peers, 1, 1, S);
    (void)hear(&peers, 2, 1, S);
    assert_int_equal(peers_silent(&peers, S + PEERS_LEASE_US - 1), 0);
    echo(&peers, 2 * S);
    (void)hear(&peers, 2, 2, 2 * S);
    assert_int_equal(peers_hear_until_us(&peers, 2 * S), S + PEERS_LEASE_US);
    assert_int_equal(peers_silent(&peers, 2 * S), 1);
    assert_int_equal(peers_silent(&peers, 2 * S), 0); /* told once */
    news = hear(&peers, 1, 2, 3 * S);
    assert_true(news.is_back);
    assert_int_equal(news.said, PEERS_NEXT); /* late, and all of it */
    echo(&peers, 3 * S);
    (void)hear(&peers, 2, 3, 3 * S);
    assert_int_equal(peers_hear_until_us(&peers, 3 * S), 3 * S + PEERS_LEASE_US);
    /* gone for good: it holds until it is forgotten */
    echo(&peers, 50 * S);
    (void)hear(&peers, 2, 4, 50 * S);
    assert_int_equal(peers_silent(&peers, 50 * S), 1);
    assert_int_equal(peers_forget(&peers, 3 * S + FORGET - 1), 0);
    assert_int_equal(peers_forget(&peers, 3 * S + FORGET), 1);
    assert_int_equal(peers_forget(&peers, 3 * S + FORGET), 0);
    assert_int_equal(peers_hear_until_us(&peers, 50 * S), 50 * S + PEERS_LEASE_US);
    /* good bye is another matter */
    news = bye(&peers, 2, 5, 51 * S);
    assert_int_equal(news.said, PEERS_NEXT);
    assert_int_equal(peers_count(&peers), 0);
    (void)hear(&peers, 3, 1, 51 * S);
    news = bye(&peers, 3, 9, 51 * S); /* ... but not what was missed before it */
    assert_int_equal(news.said, PEERS_MISSED);
    assert_int_equal(news.lost, 7);
}

static void too_many(void **unused)
{
    struct peers peers;
    struct peers_news news;

    (void)unused;
    peers_init(&peers, SELF, FORGET);
    for (uint64_t i = 0; i < PEERS_MAX; i++) {
        news = hear(&peers, 100 + i, 1, S);
        assert_int_equal(news.said, PEERS_FIRST);
    }
    echo(&peers, S);
    assert_int_equal(peers_hear_until_us(&peers, S), S + PEERS_LEASE_US);
    news = hear(&peers, 99, 1, S);
    assert_int_equal(news.said, PEERS_MISSED);
    assert_int_equal(peers_hear_until_us(&peers, S), 0);
    assert_int_equal(peers_count(&peers), PEERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes),
        cmocka_unit_test(gaps),
        cmocka_unit_test(silence),
        cmocka_unit_test(too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
