/* SPDX-License-Identifier: Apache-2.0 */
/* Mail from many threads, order per sender, replacement, closed boxes; the resolver's answers. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "weir/io/loop.h"
#include "weir/io/mailbox.h"
#include "weir/io/resolve.h"
#include "weir/util/attr.h"
#include "weir/util/clock.h"
#include "weir/util/err.h"

#define SENDERS    4
#define PER_SENDER 3000

struct note {
    struct mail mail;
    unsigned sender;
    unsigned serial;
};

static atomic_int notes_alive;

static void note_free(struct mail *mail)
{
    (void)atomic_fetch_sub(&notes_alive, 1);
    free(WR_CONTAINER_OF(mail, struct note, mail));
}

static struct note *note_create(uint32_t kind, unsigned sender, unsigned serial)
{
    struct note *note = calloc(1, sizeof(*note));

    assert_non_null(note);
    (void)atomic_fetch_add(&notes_alive, 1);
    note->mail.kind = kind;
    note->mail.free_fn = note_free;
    note->sender = sender;
    note->serial = serial;
    return note;
}

struct rig {
    struct loop *loop;
    struct mailbox *box;
    unsigned count;
    unsigned next[SENDERS];
    bool is_closing;
    char seen[32];
};

static void on_mail(void *arg, struct mail *mail)
{
    struct rig *rig = arg;
    const struct note *note = WR_CONTAINER_OF(mail, struct note, mail);

    assert_int_equal(note->serial, rig->next[note->sender]);
    rig->next[note->sender]++;
    rig->count++;
    mail->free_fn(mail);
    if (rig->is_closing) {
        mailbox_close(rig->box);
        rig->box = NULL;
    }
}

static void *sender_main(void *arg)
{
    struct rig *rig = *(struct rig **)arg;
    unsigned sender = (unsigned)((uintptr_t *)arg)[1];
    struct mailbox *box = rig->box;

    for (unsigned i = 0; i < PER_SENDER; i++) {
        (void)mailbox_post(box, &note_create(1, sender, i)->mail);
    }
    mailbox_unref(box);
    return NULL;
}

static void test_many_senders(void **state)
{
    struct rig rig = {0};
    pthread_t threads[SENDERS];
    uintptr_t args[SENDERS][2];

    (void)state;
    assert_int_equal(loop_create(&rig.loop), 0);
    assert_int_equal(mailbox_create(rig.loop, on_mail, &rig, &rig.box), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        args[i][0] = (uintptr_t)&rig;
        args[i][1] = i;
        (void)mailbox_ref(rig.box);
        assert_int_equal(pthread_create(&threads[i], NULL, sender_main, args[i]), 0);
    }
    for (uint64_t end_us = clock_now_us() + 60 * CLOCK_US_PER_SECOND;
         rig.count < SENDERS * PER_SENDER && clock_now_us() < end_us;) {
        assert_int_equal(loop_turn(rig.loop, CLOCK_US_PER_SECOND), 0);
    }
    assert_int_equal(rig.count, SENDERS * PER_SENDER);
    for (unsigned i = 0; i < SENDERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mailbox_close(rig.box);
    loop_destroy(rig.loop);
    assert_int_equal(atomic_load(&notes_alive), 0);
}

/* The box is closed in the middle of it all: the rest is freed, senders notice nothing bad. */
static void test_close_under_fire(void **state)
{
    struct rig rig = {.is_closing = true};
    pthread_t threads[SENDERS];
    uintptr_t args[SENDERS][2];

    (void)state;
    assert_int_equal(loop_create(&rig.loop), 0);
    assert_int_equal(mailbox_create(rig.loop, on_mail, &rig, &rig.box), 0);

    struct mailbox *box = mailbox_ref(rig.box);
    struct rig copy = rig; /* what the senders see; rig.box changes under way */

    for (unsigned i = 0; i < SENDERS; i++) {
        args[i][0] = (uintptr_t)&copy;
        args[i][1] = i;
        (void)mailbox_ref(rig.box);
        assert_int_equal(pthread_create(&threads[i], NULL, sender_main, args[i]), 0);
    }
    while (rig.count == 0) {
        assert_int_equal(loop_turn(rig.loop, CLOCK_US_PER_SECOND), 0);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(rig.count, 1);
    assert_int_equal(mailbox_post(box, &note_create(1, 0, 0)->mail), -WR_E_CLOSED);
    mailbox_unref(box);
    loop_destroy(rig.loop);
    assert_int_equal(atomic_load(&notes_alive), 0);
}

static void on_seen(void *arg, struct mail *mail)
{
    struct rig *rig = arg;
    const struct note *note = WR_CONTAINER_OF(mail, struct note, mail);
    char text[2] = {(char)('0' + note->serial), '\0'};

    (void)strcat(rig->seen, text);
    mail->free_fn(mail);
}

static void test_newest(void **state)
{
    struct rig rig = {0};

    (void)state;
    assert_int_equal(loop_create(&rig.loop), 0);
    assert_int_equal(mailbox_create(rig.loop, on_seen, &rig, &rig.box), 0);
    assert_int_equal(mailbox_post_newest(rig.box, &note_create(5, 0, 1)->mail), 0);
    assert_int_equal(mailbox_post(rig.box, &note_create(1, 0, 2)->mail), 0);
    assert_int_equal(mailbox_post_newest(rig.box, &note_create(6, 0, 3)->mail), 0);
    assert_int_equal(mailbox_post_newest(rig.box, &note_create(5, 0, 4)->mail), 0);
    assert_int_equal(mailbox_post_newest(rig.box, &note_create(6, 0, 5)->mail), 0);
    assert_int_equal(mailbox_post(rig.box, &note_create(1, 0, 6)->mail), 0);
    assert_int_equal(atomic_load(&notes_alive), 4);
    assert_string_equal(rig.seen, "");
    assert_int_equal(loop_turn(rig.loop, CLOCK_US_PER_SECOND), 0);
    assert_string_equal(rig.seen, "4256");

    assert_int_equal(mailbox_post(rig.box, &note_create(1, 0, 7)->mail), 0);
    mailbox_close(rig.box);
    loop_destroy(rig.loop);
    assert_int_equal(atomic_load(&notes_alive), 0);
}

/* More than one turn's share: all arrive, over several turns, without new posts. */
static void test_flood(void **state)
{
    struct rig rig = {0};

    (void)state;
    assert_int_equal(loop_create(&rig.loop), 0);
    assert_int_equal(mailbox_create(rig.loop, on_mail, &rig, &rig.box), 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(mailbox_post(rig.box, &note_create(1, 0, i)->mail), 0);
    }
    assert_int_equal(loop_turn(rig.loop, CLOCK_US_PER_SECOND), 0);
    assert_int_equal(rig.count, 256);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(loop_turn(rig.loop, 1000), 0);
    }
    assert_int_equal(rig.count, 1000);
    mailbox_close(rig.box);
    loop_destroy(rig.loop);
}

struct answers {
    unsigned count;
    int err[8];
    struct resolve_list list[8];
};

static void on_answer(void *arg, struct mail *mail)
{
    struct answers *answers = arg;
    struct resolve_mail *answer = WR_CONTAINER_OF(mail, struct resolve_mail, mail);
    size_t index = (size_t)(uintptr_t)answer->arg;

    assert_int_equal(mail->kind, 42);
    assert_true(index < 8);
    answers->err[index] = answer->err;
    answers->list[index] = answer->list;
    answers->count++;
    mail->free_fn(mail);
}

static void test_resolver(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "/run/some.sock",
                                        "no-such-host.invalid"};
    static const char *const texts[] = {"127.0.0.1:3306", "[::1]:3306", "/run/some.sock", NULL};
    struct answers answers = {0};
    struct resolver *resolver = NULL;
    struct mailbox *box = NULL;
    struct loop *loop = NULL;

    (void)state;
    assert_int_equal(loop_create(&loop), 0);
    assert_int_equal(mailbox_create(loop, on_answer, &answers, &box), 0);
    assert_int_equal(resolver_create(&resolver), 0);
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(resolver_ask(resolver, hosts[i], 3306, box, 42, (void *)i), 0);
    }
    for (int i = 0; i < 60 && answers.count < 4; i++) {
        assert_int_equal(loop_turn(loop, CLOCK_US_PER_SECOND), 0);
    }
    assert_int_equal(answers.count, 4);
    for (size_t i = 0; i < 4; i++) {
        char text[RESOLVE_TEXT_BYTES];

        if (texts[i] == NULL) {
            assert_int_equal(answers.err[i], -WR_E_NOT_FOUND);
            continue;
        }
        assert_int_equal(answers.err[i], 0);
        resolve_format((const struct sockaddr *)&answers.list[i].addrs[0].addr,
                       answers.list[i].addrs[0].len, text, sizeof(text));
        assert_string_equal(text, texts[i]);
    }
    resolver_destroy(resolver);
    mailbox_close(box);
    loop_destroy(loop);
}

static void test_resolve_limits(void **state)
{
    struct resolve_list list = {0};
    char path[200];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[199] = '\0';
    assert_int_equal(resolve_now(path, 0, &list), -ENAMETOOLONG);
    assert_int_equal(resolve_now("localhost", 1, &list), 0);
    assert_true(list.count >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_senders), cmocka_unit_test(test_close_under_fire),
        cmocka_unit_test(test_newest),       cmocka_unit_test(test_flood),
        cmocka_unit_test(test_resolver),     cmocka_unit_test(test_resolve_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
