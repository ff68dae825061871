/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail_priv - messages that carry a snapshot, or nothing.
 *
 * WHY       Monitor to control and control to workers hand the same three kinds of snapshot on.
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

#include "weir/io/mailbox.h"

typedef void (*snapshot_unref_fn)(const void *snapshot);

struct mail *mail_snapshot_create(uint32_t kind, const void *snapshot, snapshot_unref_fn unref);
/* The reference is the caller's from here on. */
const void *mail_snapshot_take(struct mail *mail);
/* A mail that says all by its kind. */
struct mail *mail_plain_create(uint32_t kind);

#endif
