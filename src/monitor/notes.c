/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "notes_priv.h"

static int place_compare(const struct note *note, uint64_t major, uint64_t minor)
{
    if (note->major != major) {
        return note->major < major ? -1 : 1;
    }
    if (note->minor != minor) {
        return note->minor < minor ? -1 : 1;
    }
    return 0;
}

/* Drops the one that is missed least: whose gap is small, measured by how long ago it was. */
static void notes_thin(struct notes *notes, uint64_t now_us)
{
    uint32_t drop = 1;
    double least = 0;

    for (uint32_t i = 1; i + 1 < notes->count; i++) {
        double gap = (double)(notes->at[i + 1].seen_us - notes->at[i - 1].last_seen_us);
        double cost = gap / (double)(now_us - notes->at[i + 1].seen_us + 1);

        if (i == 1 || cost < least) {
            least = cost;
            drop = i;
        }
    }
    notes->count--;
    memmove(&notes->at[drop], &notes->at[drop + 1], (notes->count - drop) * sizeof(notes->at[0]));
}

void notes_add(struct notes *notes, uint64_t major, uint64_t minor, uint64_t at_us)
{
    struct note *last = notes->count > 0 ? &notes->at[notes->count - 1] : NULL;

    if (last && place_compare(last, major, minor) == 0) {
        last->last_seen_us = at_us;
        return;
    }
    if (last && place_compare(last, major, minor) > 0) {
        notes->count = 0;
    }
    if (notes->count == NOTES_MAX) {
        notes_thin(notes, at_us);
    }
    notes->at[notes->count++] =
        (struct note){.major = major, .minor = minor, .seen_us = at_us, .last_seen_us = at_us};
}

bool notes_is_behind(const struct notes *notes, uint64_t major, uint64_t minor,
                     uint64_t *ret_since_us, bool *ret_is_older)
{
    uint32_t i = notes->count;

    while (i > 0 && place_compare(&notes->at[i - 1], major, minor) > 0) {
        i--;
    }
    if (i == notes->count) {
        return false;
    }
    *ret_is_older = i == 0;
    *ret_since_us = i > 0 ? notes->at[i - 1].last_seen_us : notes->at[0].seen_us;
    return true;
}

const struct note *notes_newest(const struct notes *notes)
{
    return notes->count > 0 ? &notes->at[notes->count - 1] : NULL;
}
