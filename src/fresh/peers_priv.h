/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers - which weirs have been heard, until when all of theirs is known, and what was missed.
 *
 * WHY       Publishing is not acknowledged by who should hear it: a lost message shows by the numbers
 *           of the next one, a lost peer by its silence, a dead subscription by the silence of our
 *           own messages. Pure.
 * OWNS      none: embedded in its owner.
 * THREADS   One at a time.
 * REENTRY   none
 * UNITS     *_us: microseconds, as passed in.
 * ERRORS    none
 * BOUNDS    PEERS_MAX others; with more nothing is known to be heard.
 */
#ifndef WEIR_FRESH_PEERS_PRIV_H
#define WEIR_FRESH_PEERS_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "message_priv.h"

#define PEERS_MAX      64U
#define PEERS_SENT     64U /* of our own messages whose time is remembered */
#define PEERS_BEAT_US  UINT64_C(100000)
#define PEERS_LEASE_US UINT64_C(400000) /* four heartbeats */

struct peer {
    uint64_t instance; /* 0: free */
    uint64_t number;   /* of its last message */
    uint64_t heard_us;
    bool is_silent; /* has been told */
};

struct peers {
    uint64_t self;
    uint64_t sent; /* number of our last message */
    uint64_t sent_us[PEERS_SENT];
    uint64_t echo;    /* of the last that came back */
    uint64_t echo_us; /* when that was sent; 0: none on this subscription */
    uint64_t full_us; /* when somebody found no place */
    uint64_t forget_us;
    struct peer items[PEERS_MAX];
};

enum peers_said {
    PEERS_NEXT,   /* as expected */
    PEERS_FIRST,  /* somebody new; nothing of its was missed */
    PEERS_MISSED, /* something was missed before it */
    PEERS_OLD,    /* a number that has been: whoever sends it, it is no sign of life */
};

struct peers_news {
    enum peers_said said;
    bool is_self;
    bool is_new;   /* the first of this peer */
    bool is_back;  /* it had been silent */
    uint64_t lost; /* messages that were missed */
};

/* forget_us: a peer that has been silent for so long is no longer waited for. self: not 0. */
void peers_init(struct peers *peers, uint64_t self, uint64_t forget_us);
/* The number of the message that is sent now. */
uint64_t peers_send(struct peers *peers, uint64_t now_us);
/* The subscription has been lost. Who was heard before is still waited for. */
void peers_cut(struct peers *peers);
/* A message has come. */
struct peers_news peers_hear(struct peers *peers, const struct message_head *head, uint64_t now_us);
/* Until when all that anybody has said is known to have been heard. 0: nothing is. */
uint64_t peers_hear_until_us(const struct peers *peers, uint64_t now_us);

uint32_t peers_count(const struct peers *peers);
/* Somebody who has fallen silent just now, or is now forgotten, until there is no more: the id. */
uint64_t peers_silent(struct peers *peers, uint64_t now_us);
uint64_t peers_forget(struct peers *peers, uint64_t now_us);

#endif
