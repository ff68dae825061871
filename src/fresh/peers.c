/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir/util/assert.h"

#include "peers_priv.h"

void peers_init(struct peers *peers, uint64_t self, uint64_t forget_us)
{
    memset(peers, 0, sizeof(*peers));
    peers->self = self;
    peers->forget_us = forget_us;
}

uint64_t peers_send(struct peers *peers, uint64_t now_us)
{
    peers->sent++;
    peers->sent_us[peers->sent % PEERS_SENT] = now_us;
    return peers->sent;
}

void peers_cut(struct peers *peers)
{
    peers->echo_us = 0;
}

/* What Redis has published before it has gone to every subscriber before it. */
static struct peers_news hear_self(struct peers *peers, const struct message_head *head)
{
    struct peers_news news = {.said = PEERS_OLD, .is_self = true};

    if (head->number > peers->sent || head->number <= peers->echo) {
        return news; /* nobody has sent that, or it has come before */
    }
    news.lost = peers->echo_us == 0 ? 0 : head->number - peers->echo - 1;
    news.said = peers->echo_us == 0 ? PEERS_FIRST : news.lost == 0 ? PEERS_NEXT : PEERS_MISSED;
    peers->echo = head->number;
    peers->echo_us = head->number + PEERS_SENT > peers->sent
                         ? peers->sent_us[head->number % PEERS_SENT]
                         : 1; /* so long ago that it says nothing */
    return news;
}

static struct peer *find(struct peers *peers, uint64_t instance)
{
    struct peer *free_one = NULL;

    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (peers->items[i].instance == instance) {
            return &peers->items[i];
        }
        if (peers->items[i].instance == 0 && free_one == NULL) {
            free_one = &peers->items[i];
        }
    }
    return free_one;
}

struct peers_news peers_hear(struct peers *peers, const struct message_head *head, uint64_t now_us)
{
    struct peers_news news = {.said = PEERS_NEXT};
    struct peer *peer = NULL;

    if (head->instance == peers->self) {
        return hear_self(peers, head);
    }
    if (head->instance == 0) {
        news.said = PEERS_OLD;
        return news;
    }
    peer = find(peers, head->instance);
    if (peer == NULL) {
        peers->full_us = now_us;
        news.said = PEERS_MISSED;
        return news;
    }
    news.is_new = peer->instance == 0;
    if (!news.is_new && head->number <= peer->number) {
        news.said = PEERS_OLD;
        return news;
    }
    news.lost = head->number - (news.is_new ? 0 : peer->number) - 1;
    news.said = news.lost > 0 ? PEERS_MISSED : news.is_new ? PEERS_FIRST : PEERS_NEXT;
    news.lost = news.is_new ? 0 : news.lost; /* it was not ours to hear */
    news.is_back = peer->is_silent;
    if (head->kind == MESSAGE_BYE) {
        memset(peer, 0, sizeof(*peer));
        return news;
    }
    *peer = (struct peer){.instance = head->instance, .number = head->number, .heard_us = now_us};
    return news;
}

uint64_t peers_hear_until_us(const struct peers *peers, uint64_t now_us)
{
    uint64_t since_us = peers->echo_us;

    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &peers->items[i];

        if (peer->instance != 0 && peer->heard_us < since_us) {
            since_us = peer->heard_us;
        }
    }
    if (since_us == 0 || (peers->full_us != 0 && now_us < peers->full_us + peers->forget_us)) {
        return 0;
    }
    return since_us + PEERS_LEASE_US;
}

uint32_t peers_count(const struct peers *peers)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        count += peers->items[i].instance != 0 ? 1 : 0;
    }
    return count;
}

uint64_t peers_silent(struct peers *peers, uint64_t now_us)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &peers->items[i];

        if (peer->instance != 0 && !peer->is_silent && now_us >= peer->heard_us + PEERS_LEASE_US) {
            peer->is_silent = true;
            return peer->instance;
        }
    }
    return 0;
}

uint64_t peers_forget(struct peers *peers, uint64_t now_us)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t instance = peers->items[i].instance;

        if (instance != 0 && now_us >= peers->items[i].heard_us + peers->forget_us) {
            memset(&peers->items[i], 0, sizeof(peers->items[i]));
            return instance;
        }
    }
    return 0;
}
