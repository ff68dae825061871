/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/cache/marks.h"

/* Of one log. */
static bool is_behind(const struct log_place *a, const struct log_place *b)
{
    return a->file != b->file ? a->file < b->file : a->offset < b->offset;
}

static bool is_same(const struct log_place *a, const struct log_place *b)
{
    return a->log == b->log && a->file == b->file && a->born_s == b->born_s &&
           a->offset == b->offset;
}

static bool is_other_file(const struct log_place *a, const struct log_place *b)
{
    return a->log != b->log || (a->file == b->file && a->born_s != b->born_s);
}

void marks_clear(struct marks *marks)
{
    marks->count = 0;
}

/* Every second one of the older half. */
static void thin(struct marks *marks)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < marks->count; i++) {
        if (i >= marks->count / 2 || i % 2 != 0) {
            marks->items[count++] = marks->items[i];
        }
    }
    marks->count = count;
}

void marks_add(struct marks *marks, const struct log_place *place, uint64_t us)
{
    struct mark *last = NULL;

    if (place->log == 0) {
        return;
    }
    if (marks->count > 0) {
        last = &marks->items[marks->count - 1];
        if (is_other_file(&last->place, place) || is_behind(place, &last->place)) {
            marks_clear(marks);
        } else if (us <= last->us) {
            return;
        } else if (is_same(&last->place, place)) {
            last->us = us;
            return;
        }
    }
    if (marks->count == MARKS_MAX) {
        thin(marks);
    }
    marks->items[marks->count++] = (struct mark){.place = *place, .us = us};
}

uint64_t marks_until_us(const struct marks *marks, const struct log_place *place)
{
    bool is_known = false;
    uint64_t us = 0;

    if (place->log == 0) {
        return 0;
    }
    for (uint32_t i = marks->count; i > 0; i--) {
        const struct mark *mark = &marks->items[i - 1];

        if (is_other_file(&mark->place, place)) {
            return 0;
        }
        /* a file that it has no mark in: it cannot tell whether that is the file it knows */
        is_known = is_known || mark->place.file == place->file;
        if (us == 0 && !is_behind(place, &mark->place)) {
            us = mark->us;
        }
        if (mark->place.file < place->file) {
            break;
        }
    }
    return is_known ? us : 0;
}
