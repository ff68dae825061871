/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share - what this weir shares with others by Redis, as the configuration has it.
 *
 * WHY       Rooms that speak to Redis know no configuration file, no events and no control thread.
 * OWNS      The sharing of tokens (weir/fresh/fresh.h) and its TLS context.
 * THREADS   Whoever made it; share_on_positions(): control.
 * REENTRY   Events come to control by mail.
 * UNITS     none
 * ERRORS    0 or a negative err code; what is wrong with a file is in ret_why.
 * BOUNDS    none
 */
#ifndef WEIR_CORE_SHARE_PRIV_H
#define WEIR_CORE_SHARE_PRIV_H

#include "weir/observe/events.h"
#include "weir/util/attr.h"

#include "settings_priv.h"

struct causal_board;
struct config;
struct guard_board;
struct logger;
struct mail;
struct mailbox;
struct metric_registry;
struct positions;
struct share;
struct topo;

struct share_conf {
    const struct config *config; /* borrowed, with what it points at, for the share's life */
    struct causal_board *board;
    struct guard_board *guard;
    struct metric_registry *registry;
    struct logger *logger;
    struct mailbox *control;
};

/* *ret_share is NULL when nothing is to be shared. */
WR_NODISCARD int share_create(const struct share_conf *conf, char ret_why[SETTINGS_WHY_BYTES],
                              struct share **ret_share);
void share_destroy(struct share *share); /* NULL is fine */

/* There is a new picture of who has what. share may be NULL. */
void share_on_positions(struct share *share, const struct positions *positions,
                        const struct topo *topo);
/* What a CONTROL_MAIL_FRESH says; borrowed from it. */
const char *share_mail_text(struct mail *mail, enum event_kind *ret_kind);

#endif
