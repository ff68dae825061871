/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask_priv - the admin's questions to the workers, and their answers, as mail.
 *
 * WHY       What a worker knows of its sessions leaves it as a copy, by mail.
 * OWNS      An answer owns its lists until ask_take().
 * THREADS   ask_*create(): the sender. The rest: the receiver.
 * REENTRY   none
 * UNITS     none
 * ERRORS    NULL: no memory.
 * BOUNDS    ADMIN_SESSIONS_MAX, ADMIN_DIGESTS_MAX rows of each worker.
 */
#ifndef WEIR_CORE_ASK_PRIV_H
#define WEIR_CORE_ASK_PRIV_H

#include <stdint.h>

#include "weir/admin/admin.h"
#include "weir/io/mailbox.h"

struct digests;
struct sess_kill;
struct sess_set;

struct mail *ask_create(uint32_t kind, uint32_t ticket, unsigned what);
/* The worker's answer to a question; what there is no memory for is left out. */
struct mail *ask_answer(uint32_t kind, struct mail *question, const struct sess_set *set,
                        const struct digests *digests);
/* The lists are the caller's. */
void ask_take(struct mail *mail, struct admin_answer *ret_answer);

/* A KILL, or its outcome. */
struct mail *ask_kill_create(uint32_t kind, const struct sess_kill *kill);
const struct sess_kill *ask_kill(struct mail *mail);

#endif
