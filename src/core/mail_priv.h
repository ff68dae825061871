/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_priv - messages that carry a snapshot, or nothing.
 *
 * WHY       Monitor to control, control to workers: the same snapshots are handed on.
 * OWNS      A snapshot mail owns one reference until mail_snapshot_take().
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    NULL: no memory; the reference has been given back.
 * BOUNDS    none
 */
#ifndef WEIR_CORE_MAIL_PRIV_H
#define WEIR_CORE_MAIL_PRIV_H

#include <stdint.h>

#include "weir/core/worker.h"
#include "weir/io/mailbox.h"

/* One more reference on a snapshot of that kind. */
const void *mail_snapshot_ref(enum snapshot_kind kind, const void *snapshot);
/* A mail of that kind; it takes the caller's reference over. */
struct mail *mail_snapshot_create(enum snapshot_kind kind, const void *snapshot);
/* The reference is the caller's from here on. */
const void *mail_snapshot_take(struct mail *mail);
/* A mail that says all by its kind. */
struct mail *mail_plain_create(uint32_t kind);

#endif
