/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "verdict_priv.h"

void verdict_init(struct verdict *verdict)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->state = TOPO_ST_NEW;
    verdict->why = TOPO_WHY_NEVER_PROBED;
    verdict->scale = TOPO_WEIGHT_ONE;
}

static void verdict_settle(struct verdict *verdict)
{
    if (verdict->is_drained) {
        verdict->state = TOPO_ST_DRAINING;
        verdict->why = TOPO_WHY_DRAINED;
    } else if (verdict->is_down) {
        verdict->state = TOPO_ST_DOWN;
        verdict->why = verdict->down_why;
    } else if (verdict->last_good_us == 0) {
        verdict->state = TOPO_ST_NEW;
        verdict->why = TOPO_WHY_NEVER_PROBED;
    } else if (verdict->is_unfit) {
        verdict->state = TOPO_ST_LAGGING;
        verdict->why = verdict->unfit_why;
    } else {
        verdict->state = TOPO_ST_UP;
        verdict->why = TOPO_WHY_NONE;
    }
}

static void verdict_fail(struct verdict *verdict, const struct verdict_conf *conf)
{
    verdict->good_run = 0;
    verdict->fit_run = 0;
    if (verdict->fail_run < UINT32_MAX) {
        verdict->fail_run++;
    }
    verdict->scale = verdict->scale > 1 ? verdict->scale / 2 : 1;
    if (verdict->fail_run >= conf->failures && !verdict->is_down) {
        verdict->is_down = true;
        verdict->down_why = TOPO_WHY_FAILURES;
    }
    verdict_settle(verdict);
}

void verdict_on_bad(struct verdict *verdict, const struct verdict_conf *conf)
{
    verdict_fail(verdict, conf);
}

void verdict_on_report(struct verdict *verdict, const struct verdict_conf *conf)
{
    verdict_fail(verdict, conf);
}

/* Out at once, back only after a row of samples that are well inside the bound. */
static void verdict_fitness(struct verdict *verdict, const struct verdict_conf *conf,
                            const struct verdict_health *health, bool is_first)
{
    bool is_late = health->has_lag && health->lag_us > conf->max_lag_us;
    bool is_fit = health->why == TOPO_WHY_NONE && !is_late;

    if (!is_fit) {
        verdict->is_unfit = true;
        verdict->unfit_why = health->why != TOPO_WHY_NONE ? health->why : TOPO_WHY_LAG;
        verdict->fit_run = 0;
        return;
    }
    if (!verdict->is_unfit) {
        return;
    }
    if (health->has_lag && health->lag_us > conf->recover_lag_us) {
        verdict->unfit_why = TOPO_WHY_LAG;
        verdict->fit_run = 0;
        return;
    }
    verdict->fit_run++;
    if (is_first || verdict->fit_run >= conf->recover) {
        verdict->is_unfit = false;
    }
}

void verdict_on_good(struct verdict *verdict, const struct verdict_conf *conf,
                     const struct verdict_health *health, uint64_t at_us)
{
    bool is_first = verdict->last_good_us == 0;

    verdict->fail_run = 0;
    if (verdict->good_run < UINT32_MAX) {
        verdict->good_run++;
    }
    verdict->last_good_us = at_us;
    verdict_fitness(verdict, conf, health, is_first);
    if (verdict->is_down && (is_first || verdict->good_run >= conf->recover)) {
        verdict->is_down = false;
    }
    if (!verdict->is_down && !verdict->is_unfit && verdict->scale < TOPO_WEIGHT_ONE) {
        verdict->scale += VERDICT_SCALE_STEP;
        if (verdict->scale > TOPO_WEIGHT_ONE) {
            verdict->scale = TOPO_WEIGHT_ONE;
        }
    }
    verdict_settle(verdict);
}

void verdict_tick(struct verdict *verdict, const struct verdict_conf *conf, uint64_t now_us)
{
    if (verdict->last_good_us != 0 && !verdict->is_down &&
        now_us > verdict->last_good_us + conf->stale_us) {
        verdict->is_down = true;
        verdict->down_why = TOPO_WHY_STALE_SAMPLE;
        verdict->good_run = 0;
        verdict->fit_run = 0;
        verdict->scale = verdict->scale > 1 ? verdict->scale / 2 : 1;
    }
    verdict_settle(verdict);
}

void verdict_drain(struct verdict *verdict, bool is_drained)
{
    verdict->is_drained = is_drained;
    verdict_settle(verdict);
}
