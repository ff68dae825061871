/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical timing wheel. Moving a timer to a later deadline writes deadline_us and nothing
 * else: its slot comes up early, sees that the deadline has not been reached, and puts it where it
 * belongs now. So a deadline that moves with every statement is relinked once per time-out, not
 * once per statement.
 */
#include "weir/io/timer.h"

#include <stddef.h>

#include "weir/util/assert.h"

#include "loop_priv.h"

static uint64_t tick_of(uint64_t deadline_us)
{
    /* Rounded up: never early. */
    if (deadline_us > UINT64_MAX - WHEEL_TICK_US) {
        return UINT64_MAX / WHEEL_TICK_US;
    }
    return (deadline_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
}

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
    *wheel = (struct wheel){.now = now_us / WHEEL_TICK_US};
}

static void slot_push(struct wheel *wheel, unsigned level, unsigned index, struct timer *timer)
{
    struct timer **head = &wheel->slots[level][index];

    timer->next = *head;
    timer->slot = head;
    if (timer->next != NULL) {
        timer->next->slot = &timer->next;
    }
    *head = timer;
    timer->place = (uint16_t)(level * WHEEL_SLOTS + index);
    wheel->used[level] |= UINT64_C(1) << index;
}

void wheel_add(struct wheel *wheel, struct timer *timer)
{
    uint64_t tick = timer->tick;
    unsigned level = 0;

    if (tick < wheel->now) {
        tick = wheel->now;
    }
    while (level < WHEEL_LEVELS - 1 &&
           (tick >> (WHEEL_BITS * level)) - (wheel->now >> (WHEEL_BITS * level)) >= WHEEL_SLOTS) {
        level++;
    }

    uint64_t slot = tick >> (WHEEL_BITS * level);
    uint64_t last = (wheel->now >> (WHEEL_BITS * level)) + WHEEL_SLOTS - 1;

    if (slot > last) {
        slot = last; /* beyond the wheel: hop */
    }
    slot_push(wheel, level, (unsigned)(slot % WHEEL_SLOTS), timer);
}

void wheel_remove(struct wheel *wheel, struct timer *timer)
{
    unsigned level = timer->place / WHEEL_SLOTS;
    unsigned index = timer->place % WHEEL_SLOTS;

    *timer->slot = timer->next;
    if (timer->next != NULL) {
        timer->next->slot = timer->slot;
    }
    timer->next = NULL;
    timer->slot = NULL;
    if (wheel->slots[level][index] == NULL) {
        wheel->used[level] &= ~(UINT64_C(1) << index);
    }
}

uint64_t wheel_next(const struct wheel *wheel)
{
    uint64_t best = WHEEL_NO_TICK;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t used = wheel->used[level];

        if (used == 0) {
            continue;
        }

        uint64_t base = wheel->now >> (WHEEL_BITS * level);
        unsigned shift = (unsigned)(base % WHEEL_SLOTS);
        /* Slots in the order in which they come up, the current one first. */
        uint64_t turned = shift == 0 ? used : (used >> shift) | (used << (WHEEL_SLOTS - shift));
        uint64_t tick = (base + (unsigned)__builtin_ctzll(turned)) << (WHEEL_BITS * level);

        if (tick < wheel->now) {
            tick = wheel->now;
        }
        if (tick < best) {
            best = tick;
        }
    }
    return best;
}

/* Takes every timer of one slot off; those that are due run, the others go where they belong. */
static void slot_run(struct wheel *wheel, unsigned level, uint64_t tick, uint64_t now_us)
{
    unsigned index = (unsigned)((tick >> (WHEEL_BITS * level)) % WHEEL_SLOTS);
    /* The list moves to a local head, so that a callback may cancel any timer in it and add others
     * to the same slot. */
    struct timer *head = wheel->slots[level][index];

    wheel->slots[level][index] = NULL;
    wheel->used[level] &= ~(UINT64_C(1) << index);
    if (head != NULL) {
        head->slot = &head;
    }
    while (head != NULL) {
        struct timer *timer = head;

        head = timer->next;
        if (head != NULL) {
            head->slot = &head;
        }
        timer->next = NULL;
        timer->slot = NULL;
        if (timer->deadline_us > now_us) {
            timer->tick = tick_of(timer->deadline_us);
            wheel_add(wheel, timer);
            continue;
        }
        timer->deadline_us = 0;
        timer->fn(timer->arg);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_us)
{
    uint64_t last = now_us / WHEEL_TICK_US;

    for (;;) {
        uint64_t tick = wheel_next(wheel);

        if (tick > last) {
            break;
        }
        wheel->now = tick;
        for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
            uint64_t width = UINT64_C(1) << (WHEEL_BITS * level);

            if (tick % width == 0) {
                slot_run(wheel, level, tick, now_us);
            }
        }
        /* Past this tick before its callbacks run: what they arm for now must not go into the slot
         * that has just been taken. */
        wheel->now = tick + 1;
        slot_run(wheel, 0, tick, now_us);
    }
    if (wheel->now <= last) {
        wheel->now = last + 1;
    }
}

void timer_init(struct timer *timer, struct loop *loop, timer_fn fn, void *arg)
{
    *timer = (struct timer){.loop = loop, .fn = fn, .arg = arg};
}

void timer_arm_at(struct timer *timer, uint64_t deadline_us)
{
    WR_DASSERT(timer->loop != NULL);
    if (deadline_us == 0) {
        deadline_us = 1;
    }
    timer->deadline_us = deadline_us;
    if (timer->slot != NULL) {
        if (deadline_us >= timer->tick * WHEEL_TICK_US) {
            return;
        }
        wheel_remove(loop_wheel(timer->loop), timer);
    }
    timer->tick = tick_of(deadline_us);
    wheel_add(loop_wheel(timer->loop), timer);
    loop_wake_for(timer->loop, timer->tick);
}

void timer_arm_in(struct timer *timer, uint64_t delay_us)
{
    uint64_t now_us = loop_now_us(timer->loop);

    timer_arm_at(timer, delay_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + delay_us);
}

void timer_cancel(struct timer *timer)
{
    timer->deadline_us = 0;
    if (timer->slot != NULL) {
        wheel_remove(loop_wheel(timer->loop), timer);
    }
}

bool timer_is_armed(const struct timer *timer)
{
    return timer->deadline_us != 0;
}
