/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads after writes: which way applies to a statement (hint, rule, setting, in this order), and what
 * it asks for.
 */
#include "deciding_priv.h"

/* What the configuration says about it, or the rule. */
static enum config_raw_mode raw_by_rule(struct deciding *d)
{
    enum config_rule_raw raw =
        d->view->rule != NULL ? d->view->rule->read_after_write : CONFIG_RULE_RAW_DEFAULT;

    switch (raw) {
    case CONFIG_RULE_RAW_DEFAULT:
        break;
    case CONFIG_RULE_RAW_GTID:
        route_step_add(d->ret, ROUTE_RULE_RAW_GTID);
        return CONFIG_RAW_GTID;
    case CONFIG_RULE_RAW_WINDOW:
        route_step_add(d->ret, ROUTE_RULE_RAW_WINDOW);
        return CONFIG_RAW_WINDOW;
    case CONFIG_RULE_RAW_OFF:
        route_step_add(d->ret, ROUTE_RULE_RAW_OFF);
        return CONFIG_RAW_OFF;
    }
    return d->view->conf->raw_mode;
}

bool route_is_in_window(struct deciding *d)
{
    enum config_raw_mode mode = raw_by_rule(d);
    uint64_t until_us = d->sess->raw_until_us;

    if (route_has_hint(d->facts, HINT_READ_AFTER_WRITE)) {
        struct span value = d->facts->hint[HINT_READ_AFTER_WRITE];

        if (span_eq_text_nocase(value, "off")) {
            route_hint_step(d, ROUTE_HINT_RAW_OFF, HINT_READ_AFTER_WRITE);
            mode = CONFIG_RAW_OFF;
        } else if (span_eq_text_nocase(value, "window")) {
            mode = CONFIG_RAW_WINDOW;
        } else if (span_eq_text_nocase(value, "gtid")) {
            mode = CONFIG_RAW_GTID;
        } else {
            route_hint_step(d, ROUTE_HINT_INVALID, HINT_READ_AFTER_WRITE);
        }
    }
    if (mode == CONFIG_RAW_AUTO || mode == CONFIG_RAW_GTID) {
        mode = d->sess->has_gtids ? CONFIG_RAW_GTID : CONFIG_RAW_WINDOW;
        until_us = d->sess->has_gtids ? d->sess->blind_until_us : until_us;
    }
    d->ret->raw_mode = mode;
    if (mode == CONFIG_RAW_OFF || d->view->now_us >= until_us) {
        return false;
    }
    route_step_add(d->ret, ROUTE_READ_AFTER_WRITE)->left_us = until_us - d->view->now_us;
    return true;
}

/* Servers known to have what a read must see. */
uint64_t route_known_mask(const struct deciding *d, bool is_read)
{
    return is_read && d->ret->raw_mode == CONFIG_RAW_GTID ? d->sess->has_mask : UINT64_MAX;
}
