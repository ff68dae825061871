/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of other weirs, and who is heard by them: nothing that anybody publishes does more than
 * have something called missed. What was read is written and read again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message_priv.h"
#include "peers_priv.h"

#define SELF   UINT64_C(0x1111111111111111)
#define NOW_US UINT64_C(1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct message_key KEY = {.channel = {(const uint8_t *)"c", 1}};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void again(const struct message_head *head, const struct causal_out *out,
                  const struct gtid_set *set)
{
    struct message_head head2;
    struct causal_out out2;
    struct gtid_set set2;
    struct wire marks;
    struct buf buf;

    buf_init(&buf);
    gtid_init(&set2);
    must(message_begin(&buf, head) == 0);
    must(message_add(&buf, out, set, NOW_US) == 0);
    must(message_end(&buf, &KEY) == 0);
    must(message_open(buf_span(&buf), &KEY, &head2, &marks));
    must(head2.kind == head->kind && head2.instance == head->instance &&
         head2.number == head->number);
    must(message_next(&marks, &out2, &set2, NOW_US) == DEC_OK);
    must(out2.slot == out->slot && out2.is_unknown == out->is_unknown);
    must(out2.blind_until_us >= out->blind_until_us);
    must(gtid_has(set, &set2) && gtid_has(&set2, set));
    must(message_next(&marks, &out2, &set2, NOW_US) == DEC_MORE);
    gtid_fini(&set2);
    buf_fini(&buf);
}

static void take(struct peers *peers, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    struct message_head head;
    struct causal_out out;
    struct gtid_set set;
    struct wire marks;

    must(copy != NULL);
    memcpy(copy, bytes, len);
    gtid_init(&set);
    if (message_open((struct span){copy, len}, &KEY, &head, &marks)) {
        while (message_next(&marks, &out, &set, NOW_US) == DEC_OK) {
            must(out.slot < CAUSAL_SLOTS);
            again(&head, &out, &set);
        }
        uint64_t before_us = peers_hear_until_us(peers, NOW_US);
        struct peers_news news = peers_hear(peers, &head, NOW_US);
        must(peers_count(peers) <= PEERS_MAX);
        must(!news.is_self || head.instance == SELF);
        /* nobody else's word says that we are heard */
        must(head.instance == SELF || before_us != 0 || peers_hear_until_us(peers, NOW_US) == 0);
    }
    gtid_fini(&set);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peers peers;
    size_t at = 0;

    peers_init(&peers, SELF, 10 * NOW_US);
    (void)peers_send(&peers, NOW_US);
    while (at < size) { /* a byte says how long the next message is */
        size_t len = data[at++];

        len = len < size - at ? len : size - at;
        take(&peers, data + at, len);
        at += len;
    }
    return 0;
}
