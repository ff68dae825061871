/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list under a mutex and an event fd. The fd is written only when the box goes from empty to not
 * empty: a reader that has not woken up yet will find the rest, too.
 */
#include "weir/io/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weir/io/loop.h"
#include "weir/io/watch.h"
#include "weir/util/err.h"

#define DELIVER_MAX 256

struct mailbox {
    /* counted: the creator, each sender */
    atomic_uint refs;
    /* under lock */
    pthread_mutex_t lock;
    struct mail *head;
    struct mail **tail;
    bool is_closed;
    int fd;
    /* the loop's thread only */
    struct loop *loop;
    struct watch watch;
    struct loop_task again;
    mail_fn on_mail;
    void *arg;
};

static void mails_free(struct mail *mail)
{
    while (mail != NULL) {
        struct mail *next = mail->next;

        mail->free_fn(mail);
        mail = next;
    }
}

static struct mail *take(struct mailbox *box)
{
    (void)pthread_mutex_lock(&box->lock);

    struct mail *mail = box->head;

    if (mail != NULL) {
        box->head = mail->next;
        if (box->head == NULL) {
            box->tail = &box->head;
        }
        mail->next = NULL;
    }
    (void)pthread_mutex_unlock(&box->lock);
    return mail;
}

static void deliver(struct mailbox *box)
{
    /* The receiver may close the box. */
    (void)mailbox_ref(box);
    for (int i = 0; i < DELIVER_MAX && box->loop != NULL; i++) {
        struct mail *mail = take(box);

        if (mail == NULL) {
            mailbox_unref(box);
            return;
        }
        box->on_mail(box->arg, mail);
    }
    if (box->loop != NULL) {
        /* There may be more, and no new wake-up for it: the box did not become empty. */
        uint64_t one = 1;

        if (write(box->fd, &one, sizeof(one)) < 0) {
            loop_defer(box->loop, &box->again);
        }
    }
    mailbox_unref(box);
}

static void on_again(void *arg)
{
    deliver(arg);
}

static void on_readable(void *arg)
{
    struct mailbox *box = arg;
    uint64_t count = 0;

    if (read(box->fd, &count, sizeof(count)) > 0) {
        deliver(box);
    }
}

int mailbox_create(struct loop *loop, mail_fn on_mail, void *arg, struct mailbox **ret_box)
{
    struct mailbox *box = calloc(1, sizeof(*box));

    if (box == NULL) {
        return -ENOMEM;
    }
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->fd < 0) {
        int rc = -errno;

        free(box);
        return rc;
    }
    atomic_init(&box->refs, 1);
    (void)pthread_mutex_init(&box->lock, NULL);
    box->tail = &box->head;
    box->loop = loop;
    box->on_mail = on_mail;
    box->arg = arg;
    loop_task_init(&box->again, on_again, box);

    int rc = watch_start(&box->watch, loop, box->fd, on_readable, box);

    if (rc < 0) {
        mailbox_unref(box);
        return rc;
    }
    *ret_box = box;
    return 0;
}

void mailbox_close(struct mailbox *box)
{
    if (box == NULL) {
        return;
    }
    watch_stop(&box->watch);
    loop_task_cancel(&box->again);
    box->loop = NULL;
    (void)pthread_mutex_lock(&box->lock);

    struct mail *rest = box->head;

    box->head = NULL;
    box->tail = &box->head;
    box->is_closed = true;
    (void)pthread_mutex_unlock(&box->lock);
    mails_free(rest);
    mailbox_unref(box);
}

struct mailbox *mailbox_ref(struct mailbox *box)
{
    /* Relaxed: whoever refs holds a reference already. */
    (void)atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return box;
}

void mailbox_unref(struct mailbox *box)
{
    /* Acquire-release: what other holders did comes before the last one frees. */
    if (box == NULL || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    mails_free(box->head);
    (void)close(box->fd);
    (void)pthread_mutex_destroy(&box->lock);
    free(box);
}

static int post(struct mailbox *box, struct mail *mail, bool is_newest)
{
    struct mail *old = NULL;
    uint64_t one = 1;

    mail->next = NULL;
    (void)pthread_mutex_lock(&box->lock);
    if (box->is_closed) {
        (void)pthread_mutex_unlock(&box->lock);
        mail->free_fn(mail);
        return -WR_E_CLOSED;
    }
    if (is_newest) {
        for (struct mail **link = &box->head; *link != NULL; link = &(*link)->next) {
            if ((*link)->kind != mail->kind) {
                continue;
            }
            old = *link;
            mail->next = old->next;
            *link = mail;
            if (box->tail == &old->next) {
                box->tail = &mail->next;
            }
            old->next = NULL;
            break;
        }
    }
    if (old == NULL) {
        bool was_empty = box->head == NULL;

        *box->tail = mail;
        box->tail = &mail->next;
        /* Under the lock, so that the fd cannot be a closed one. It can only be full when the
         * reader has a wake-up in hand already. */
        if (was_empty && write(box->fd, &one, sizeof(one)) < 0) {
            errno = 0;
        }
    }
    (void)pthread_mutex_unlock(&box->lock);
    mails_free(old);
    return 0;
}

int mailbox_post(struct mailbox *box, struct mail *mail)
{
    return post(box, mail, false);
}

int mailbox_post_newest(struct mailbox *box, struct mail *mail)
{
    return post(box, mail, true);
}
