/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox - how one thread tells another anything.
 *
 * WHY       Threads share no objects; they send each other messages that own what they carry.
 * OWNS      Mail from mailbox_post() until on_mail is called with it; the receiver owns it then.
 *           Mail that is dropped (box closed, replaced by newer) goes to its own free_fn.
 *           The box is counted: senders hold references, so a box outlives its loop.
 * THREADS   mailbox_post(), mailbox_ref(), mailbox_unref(): any. The rest: the loop's thread.
 * REENTRY   on_mail is called from the loop, never from inside mailbox_post(), also when a thread
 *           writes to itself. It may post.
 * UNITS     none
 * ERRORS    0 or a negative err code.
 * BOUNDS    At most 256 mails are delivered per turn. Senders that could flood use
 *           mailbox_post_newest().
 */
#ifndef WEIR_IO_MAILBOX_H
#define WEIR_IO_MAILBOX_H

#include <stdint.h>

#include "weir/util/attr.h"

struct loop;
struct mailbox;

/* First member of every message. */
struct mail {
    struct mail *next;
    void (*free_fn)(struct mail *mail); /* releases the message with all it owns */
    uint32_t kind;                      /* the receiver's enum */
};

typedef void (*mail_fn)(void *arg, struct mail *mail);

WR_NODISCARD int mailbox_create(struct loop *loop, mail_fn on_mail, void *arg,
                                struct mailbox **ret_box);
/* Take it off the loop; undelivered and later mail is freed. Drops the creator's reference. */
void mailbox_close(struct mailbox *box);
struct mailbox *mailbox_ref(struct mailbox *box);
void mailbox_unref(struct mailbox *box);

/* Takes mail, always. Returns 0, or -WR_E_CLOSED when it was freed instead. */
int mailbox_post(struct mailbox *box, struct mail *mail);
/* The same; an undelivered message of the same kind is freed and this one takes its place. */
int mailbox_post_newest(struct mailbox *box, struct mail *mail);

#endif
