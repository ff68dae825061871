/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess_renew_priv - answers that are asked for anew behind the write that ended them.
 *
 * WHY       The next read finds its answer, and nobody has to wait for it.
 * OWNS      struct sess_renews: of one worker. What its sessions have asked that was kept under tags,
 *           with a reference on whose credentials; which of that is due; the questions on their way.
 * THREADS   The worker's. A write through another worker comes by mail, sess_set_on_renew().
 * REENTRY   none
 * UNITS     *_us: microseconds of loop_now_us().
 * ERRORS    none: what cannot be asked is not, and counted.
 * BOUNDS    RENEW_KEPT questions, RENEW_BYTES of their keys, RENEW_KEY_MAX of one; RENEW_MOST behind one tag of a
 *           write, RENEW_QUEUED due, RENEW_RUNNING at once, cache.refresh_rate a second.
 */
#ifndef WEIR_CLIENT_SESS_RENEW_PRIV_H
#define WEIR_CLIENT_SESS_RENEW_PRIV_H

#include <stdint.h>

#include "weir/util/str.h"

#define RENEW_KEPT    2048U
#define RENEW_BYTES   (2U << 20)
#define RENEW_KEY_MAX 8192U
#define RENEW_MOST    16U
#define RENEW_QUEUED  256U
#define RENEW_RUNNING 4U

struct sess;
struct sess_fill;
struct sess_question;
struct sess_renews;
struct sess_set;

/* The answer to this question has been kept: it may be asked for again. */
void sess_renew_note(struct sess *sess, const struct sess_fill *fill);
/* The statement in hand is a write whose rule names what is asked for behind it. */
void sess_renew_tags(struct sess *sess, const struct sess_question *question);
/* What it wrote can be seen now, and its client is told; or it never will. */
void sess_renew_fire(struct sess *sess);
void sess_renew_forget(struct sess *sess);
void sess_renews_fini(struct sess_set *set);

#endif
