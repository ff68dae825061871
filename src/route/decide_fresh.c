/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads after writes: which way applies to a statement (hint, rule, setting, in this order), and what
 * it asks for.
 */
#include "weir/util/attr.h"

#include "deciding_priv.h"

static const char *const MODES[] = {[CONFIG_RAW_AUTO] = "auto",
                                    [CONFIG_RAW_GTID] = "gtid",
                                    [CONFIG_RAW_WINDOW] = "window",
                                    [CONFIG_RAW_STRICT] = "strict",
                                    [CONFIG_RAW_OFF] = "off"};

const char *route_raw_text(enum config_raw_mode mode)
{
    return MODES[mode];
}

/* What the configuration says about it, or the rule. */
static enum config_raw_mode raw_by_rule(struct deciding *d)
{
    static const struct {
        enum route_reason reason;
        enum config_raw_mode mode;
    } by_rule[] = {
        [CONFIG_RULE_RAW_AUTO] = {ROUTE_RULE_RAW_AUTO, CONFIG_RAW_AUTO},
        [CONFIG_RULE_RAW_GTID] = {ROUTE_RULE_RAW_GTID, CONFIG_RAW_GTID},
        [CONFIG_RULE_RAW_WINDOW] = {ROUTE_RULE_RAW_WINDOW, CONFIG_RAW_WINDOW},
        [CONFIG_RULE_RAW_STRICT] = {ROUTE_RULE_RAW_STRICT, CONFIG_RAW_STRICT},
        [CONFIG_RULE_RAW_OFF] = {ROUTE_RULE_RAW_OFF, CONFIG_RAW_OFF},
    };
    const struct config_rule *rule = d->view->rule;

    if (rule == NULL || rule->read_after_write == CONFIG_RULE_RAW_DEFAULT) {
        return d->view->conf->raw_mode;
    }
    route_step_add(d->ret, by_rule[rule->read_after_write].reason);
    return by_rule[rule->read_after_write].mode;
}

WR_COLD static enum config_raw_mode raw_by_hint(struct deciding *d, enum config_raw_mode mode)
{
    struct span value = d->facts->hint[HINT_READ_AFTER_WRITE];

    for (unsigned i = 0; i < WR_ARRAY_LEN(MODES); i++) {
        if (span_eq_text_nocase(value, MODES[i])) {
            route_hint_step(d, i == CONFIG_RAW_OFF ? ROUTE_HINT_RAW_OFF : ROUTE_HINT_RAW,
                            HINT_READ_AFTER_WRITE);
            return (enum config_raw_mode)i;
        }
    }
    route_hint_step(d, ROUTE_HINT_INVALID, HINT_READ_AFTER_WRITE);
    return mode;
}

bool route_is_in_window(struct deciding *d)
{
    enum config_raw_mode mode = raw_by_rule(d);
    uint64_t until_us = d->sess->raw_until_us;

    if (route_has_hint(d->facts, HINT_READ_AFTER_WRITE)) {
        mode = raw_by_hint(d, mode);
    }
    if (mode == CONFIG_RAW_AUTO || mode == CONFIG_RAW_GTID) {
        mode = d->sess->has_gtids ? CONFIG_RAW_GTID : CONFIG_RAW_WINDOW;
        until_us = d->sess->has_gtids ? d->sess->blind_until_us : until_us;
    }
    d->ret->raw_mode = mode;
    if (mode == CONFIG_RAW_OFF || d->view->now_us >= until_us) {
        return false;
    }
    d->ret->is_held = true;
    route_step_add(d->ret, ROUTE_READ_AFTER_WRITE)->left_us = until_us - d->view->now_us;
    return true;
}
