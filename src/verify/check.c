/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule about the age of a read is one comparison: the version that was read against the least
 * version that the rule allows (order_priv.h). Rules differ in what that is:
 *
 *   K1   what this session had been told is committed
 *   K2   what had been committed when the newest thing that this session has seen was committed;
 *        with the order of all commits: exactly; without: whatever was acknowledged before the write
 *        that it has seen was sent off, which is less, and never too much
 *   K10  whatever had been acknowledged to anybody when the read began
 *   K11  the same, some time before the read began
 *   K14  K2's, of the newest thing that its read-only transaction has seen, earlier or later: what
 *        Adya calls G-single. (Writing transactions read what they have locked; nothing else of a
 *        cycle is left over, but for aborted and intermediate reads, which are K5's.)
 *
 * An operation takes effect between its begin and its end; nothing is assumed about when.
 */
#include "weir/verify/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lost_priv.h"
#include "order_priv.h"

#define ER_LOCK_WAIT_TIMEOUT 1205
#define ER_LOCK_DEADLOCK     1213
#define TX_READS_MAX         8 /* of one transaction, that K14 looks at */

struct window {
    uint64_t begin_us;
    uint64_t end_us;
};

/* What was seen, whatever the register: nothing older may stand beside it. */
struct moment {
    uint64_t us;
    uint32_t rank;
};

/* What a session knows, while its events are walked through. */
struct known {
    uint32_t *own;  /* by key: the newest own write that was acknowledged */
    uint32_t *seen; /* by key: the newest version seen */
    uint32_t *tx;   /* by key: ver + 1 seen in the read-only transaction that is open */
    uint64_t tx_begin_us;
    struct moment floor;
    struct moment tx_floor;
    const struct history_event *tx_reads[TX_READS_MAX];
    uint8_t tx_read_count;
    uint32_t session;
    uint16_t thread;
    bool has_lost; /* something that it had been told is committed, and is counted yet */
};

struct checking {
    const struct history *history;
    const struct truth *truth;
    const struct check_conf *conf;
    struct check_report *report;
    struct order order;
    struct lost lost;
    struct window *windows;
    size_t window_count;
    struct known known;
};

WR_PRINTF(4, 5)
static void tell(struct checking *c, enum check_rule rule, size_t event, const char *format, ...)
{
    struct check_report *report = c->report;
    struct check_violation *one = NULL;
    va_list args;

    report->counts[rule]++;
    if ((c->conf->enforced & CHECK_BIT(rule)) == 0) {
        return;
    }
    report->broken |= CHECK_BIT(rule);
    if (report->counts[rule] > CHECK_SHOWN_EACH) {
        return;
    }
    one = &report->shown[report->shown_count++];
    one->rule = rule;
    one->event = event;
    va_start(args, format);
    (void)vsnprintf(one->text, sizeof(one->text), format, args);
    va_end(args);
}

/* --- what is there in the end: K3, K4, K6 --- */

static void judge_write(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];
    const struct truth_commit *commit = truth_find(c->truth, event->op);
    bool is_insert = event->kind == HISTORY_INSERT;
    uint32_t there = 0;

    if (commit != NULL) {
        there = is_insert ? commit->rows : commit->registers;
    }
    if (event->outcome == HISTORY_OK && event->kind != HISTORY_ABORT) {
        c->report->writes++;
        if (there == 0 && lost_has(&c->lost, event->op)) {
            c->report->lost++;
            c->known.has_lost = true;
        } else if (there == 0) {
            tell(c, CHECK_K3, at, "op %u was acknowledged and is not there", event->op);
        }
    } else if (event->outcome == HISTORY_UNKNOWN) {
        c->report->unknown++;
    }
    if (there != 0 && (event->kind == HISTORY_ABORT || event->outcome == HISTORY_FAIL)) {
        tell(c, CHECK_K4, at, "op %u %s and is there", event->op,
             event->kind == HISTORY_ABORT ? "was rolled back" : "failed");
    }
}

static void judge_truth(struct checking *c)
{
    const struct truth *truth = c->truth;

    for (size_t i = 0; i < truth->commit_count; i++) {
        const struct truth_commit *commit = &truth->commits[i];

        if (commit->registers > 1 || commit->rows > 1) {
            tell(c, CHECK_K4, SIZE_MAX,
                 "op %u is there %u times in register %u and %u times as a row", commit->op,
                 commit->registers, commit->key, commit->rows);
        }
    }
    for (uint16_t key = 0; key < truth->key_count; key++) {
        const struct truth_key *one = &truth->keys[key];
        uint32_t last = one->count > 0 ? one->order[one->count - 1] : 0;

        if (one->ver != one->count || one->op != last) {
            tell(c, CHECK_K6, SIZE_MAX,
                 "register %u holds version %u of op %u; its record has %u of %u", key, one->ver,
                 one->op, one->count, last);
        }
    }
}

/* Register and row of one transaction: both or none. */
static void judge_whole(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];
    const struct truth_commit *commit = truth_find(c->truth, event->op);

    if (event->kind == HISTORY_WRITE && event->value != 0 && commit != NULL &&
        (commit->registers == 0) != (commit->rows == 0)) {
        tell(c, CHECK_K6, at, "half of the transaction of op %u is there", event->op);
    }
}

/* --- reads --- */

/* The least version of a register at that moment. */
static uint32_t moment_ver(const struct checking *c, const struct moment *moment, uint16_t key)
{
    return c->order.has_ranks ? order_ver_at_rank(&c->order, c->truth, key, moment->rank)
                              : order_ver_at(&c->order, key, moment->us);
}

static void moment_raise(const struct checking *c, struct moment *moment,
                         const struct history_event *event)
{
    const struct truth_commit *commit = truth_find(c->truth, event->seen);
    uint64_t begin_us = 0;

    if (commit != NULL && commit->rank > moment->rank) {
        moment->rank = commit->rank;
    }
    if (order_begin_us(&c->order, event->seen, &begin_us) && begin_us > moment->us) {
        moment->us = begin_us;
    }
}

static void judge_floor(struct checking *c, size_t at, const struct history_event *event)
{
    struct known *known = &c->known;
    uint32_t need = known->seen[event->key];
    uint32_t other = moment_ver(c, &known->floor, event->key);

    need = other > need ? other : need;
    if (event->ver < need) {
        tell(c, CHECK_K2, at, "register %u: version %u, after what implies version %u", event->key,
             event->ver, need);
    }
    known->seen[event->key] = event->ver > need ? event->ver : need;
    moment_raise(c, &known->floor, event);
}

/* Each read of a transaction beside all others of it. */
static void judge_moment(struct checking *c, size_t at, const struct history_event *event)
{
    struct known *known = &c->known;

    if (known->tx_read_count == TX_READS_MAX) {
        return;
    }
    known->tx_reads[known->tx_read_count++] = event;
    moment_raise(c, &known->tx_floor, event);
    for (uint8_t i = 0; i < known->tx_read_count; i++) {
        const struct history_event *one = known->tx_reads[i];
        uint32_t need = moment_ver(c, &known->tx_floor, one->key);

        if (one->ver < need) {
            tell(c, CHECK_K14, at, "register %u: version %u, beside what implies version %u",
                 one->key, one->ver, need);
            return;
        }
    }
}

/* Inside one snapshot a register does not change. */
static void judge_snapshot(struct checking *c, size_t at, const struct history_event *event)
{
    struct known *known = &c->known;
    uint32_t before = 0;

    if ((event->flags & HISTORY_F_TX) == 0) {
        return;
    }
    if (event->begin_us != known->tx_begin_us) {
        known->tx_begin_us = event->begin_us;
        known->tx_floor = (struct moment){.rank = 0};
        known->tx_read_count = 0;
        memset(known->tx, 0, c->truth->key_count * sizeof(*known->tx));
    }
    before = known->tx[event->key];
    if (before != 0 && before != event->ver + 1) {
        tell(c, CHECK_K6, at, "register %u: version %u and %u in one snapshot", event->key,
             before - 1, event->ver);
    }
    known->tx[event->key] = event->ver + 1;
    judge_moment(c, at, event);
}

static void count_read(struct checking *c, const struct history_event *event)
{
    struct check_report *report = c->report;
    uint64_t since_us = order_stale_since_us(&c->order, event->key, event->ver);

    report->reads++;
    if (c->conf->has_servers && event->server != c->conf->primary) {
        report->replica_reads++;
    }
    if (since_us < event->begin_us) {
        report->stale_reads++;
        if (event->begin_us - since_us > report->stale_max_us) {
            report->stale_max_us = event->begin_us - since_us;
        }
    }
}

static void judge_read(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];
    const struct check_conf *conf = c->conf;
    const struct truth_key *key = NULL;
    uint32_t need = 0;

    if (event->key >= c->truth->key_count) {
        tell(c, CHECK_K8, at, "register %u does not exist", event->key);
        return;
    }
    key = &c->truth->keys[event->key];
    if (event->ver == 0 ? event->seen != 0
                        : event->ver > key->count || key->order[event->ver - 1] != event->seen) {
        if (event->ver != 0 && event->begin_us <= c->lost.end_us &&
            lost_has(&c->lost, event->seen)) {
            c->report->lost_reads++; /* it was there then */
            return;
        }
        tell(c, CHECK_K5, at, "register %u: op %u as version %u was never committed", event->key,
             event->seen, event->ver);
        return;
    }
    count_read(c, event);
    if (c->known.has_lost && event->begin_us > c->lost.end_us &&
        (event->flags & HISTORY_F_TX) == 0) {
        c->known.has_lost = false;
        c->report->lost_sessions++;
    }
    if (event->ver < c->known.own[event->key]) {
        tell(c, CHECK_K1, at, "register %u: version %u; this session wrote version %u", event->key,
             event->ver, c->known.own[event->key]);
    }
    judge_snapshot(c, at, event);
    judge_floor(c, at, event);
    need = order_ver_at(&c->order, event->key, event->begin_us);
    if (event->ver < need) {
        tell(c, CHECK_K10, at, "register %u: version %u; version %u had been acknowledged",
             event->key, event->ver, need);
    }
    if (conf->stale_us != 0 && event->begin_us > conf->stale_us) {
        need = order_ver_at(&c->order, event->key, event->begin_us - conf->stale_us);
        if (event->ver < need) {
            tell(c, CHECK_K11, at,
                 "register %u: version %u, out of date for %" PRIu64 " ms (server %u)", event->key,
                 event->ver,
                 (event->begin_us - order_stale_since_us(&c->order, event->key, event->ver)) / 1000,
                 event->server);
        }
    }
}

static void judge_count(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];

    if (event->value == 0 && lost_has(&c->lost, event->op)) {
        return;
    }
    if (event->value == 0) {
        tell(c, CHECK_K1, at, "the row of op %u, own and acknowledged, was not seen", event->op);
    } else if (event->value > 1) {
        tell(c, CHECK_K4, at, "op %u was seen %" PRId64 " times", event->op, event->value);
    }
}

/* --- K12 --- */

static bool is_disturbed(const struct checking *c, const struct history_event *event)
{
    for (size_t i = 0; i < c->window_count; i++) {
        if (event->begin_us <= c->windows[i].end_us && event->end_us >= c->windows[i].begin_us) {
            return true;
        }
    }
    return false;
}

static void judge_life(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];
    uint64_t took_us = event->end_us - event->begin_us;

    if (took_us > c->report->slowest_us) {
        c->report->slowest_us = took_us;
        c->report->slowest = at;
    }
    if (c->conf->timeout_us != 0 && took_us > c->conf->timeout_us) {
        tell(c, CHECK_K12, at, "%s took %" PRIu64 " ms", history_kind_text(event->kind),
             took_us / 1000);
    }
    if (event->outcome == HISTORY_OK) {
        return;
    }
    c->report->errors++;
    if (!is_disturbed(c, event)) {
        c->report->errors_calm++;
        if (event->error != ER_LOCK_DEADLOCK && event->error != ER_LOCK_WAIT_TIMEOUT) {
            tell(c, CHECK_K12, at, "%s: error %u while nothing was disturbed",
                 history_kind_text(event->kind), event->error);
        }
    }
}

/* --- all of them --- */

static void next_session(struct checking *c, const struct history_event *event)
{
    struct known *known = &c->known;
    size_t bytes = c->truth->key_count * sizeof(*known->own);

    if (known->session == event->session && known->thread == event->thread) {
        return;
    }
    known->session = event->session;
    known->thread = event->thread;
    known->floor = (struct moment){.rank = 0};
    known->tx_begin_us = 0;
    known->has_lost = false;
    memset(known->own, 0, bytes);
    memset(known->seen, 0, bytes);
    memset(known->tx, 0, bytes);
}

static void learn_write(struct checking *c, const struct history_event *event)
{
    const struct truth_commit *commit = truth_find(c->truth, event->op);

    if (event->outcome == HISTORY_OK && commit != NULL && commit->ver != 0 &&
        commit->ver > c->known.own[commit->key]) {
        c->known.own[commit->key] = commit->ver;
    }
}

static void judge_answer(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];

    switch ((enum history_kind)event->kind) {
    case HISTORY_READ:
        judge_read(c, at);
        break;
    case HISTORY_COUNT:
        judge_count(c, at);
        break;
    case HISTORY_SUM:
        if (event->value != c->truth->sum) {
            tell(c, CHECK_K6, at, "the accounts summed up to %" PRId64 ", not %" PRId64,
                 event->value, c->truth->sum);
        }
        break;
    case HISTORY_STATE:
        if (event->value != 0) {
            tell(c, CHECK_K7, at, "the session's state is not its own (bits %" PRId64 ")",
                 event->value);
        }
        break;
    case HISTORY_PEEK:
        if (event->value != 0) {
            tell(c, CHECK_K9, at, "%" PRId64 " rows for a user without a grant", event->value);
        }
        break;
    case HISTORY_WRITE:
    case HISTORY_ABORT:
    case HISTORY_INSERT:
    case HISTORY_OTHER:
    case HISTORY_FAULT:
    case HISTORY_KIND_END_:
        break;
    }
}

static void judge(struct checking *c, size_t at)
{
    const struct history_event *event = &c->history->events[at];

    if (event->kind == HISTORY_FAULT) {
        return;
    }
    next_session(c, event);
    judge_life(c, at);
    if (event->kind == HISTORY_WRITE || event->kind == HISTORY_ABORT ||
        event->kind == HISTORY_INSERT) {
        judge_write(c, at);
        judge_whole(c, at);
        learn_write(c, event);
    }
    if ((event->flags & HISTORY_F_SWAPPED) != 0) {
        tell(c, CHECK_K8, at, "%s: the answer is not this question's",
             history_kind_text(event->kind));
        return;
    }
    if ((event->flags & HISTORY_F_STATE) != 0) {
        tell(c, CHECK_K7, at, "a read was made in another time zone than the session's");
    }
    if (event->outcome == HISTORY_OK) {
        judge_answer(c, at);
    }
}

/* K13, and the second half of K12: in the end there is life. */
static void judge_run(struct checking *c)
{
    const struct check_conf *conf = c->conf;
    const struct check_report *report = c->report;
    uint64_t healed_us = 0;
    uint64_t replicas = 0;
    uint64_t reads = 0;
    bool is_alive = c->window_count == 0;

    for (size_t i = 0; i < c->window_count; i++) {
        healed_us = c->windows[i].end_us > healed_us ? c->windows[i].end_us : healed_us;
    }
    for (size_t i = 0; i < c->history->count && !is_alive; i++) {
        is_alive = c->history->events[i].begin_us > healed_us &&
                   c->history->events[i].outcome == HISTORY_OK;
    }
    if (!is_alive) {
        tell(c, CHECK_K12, SIZE_MAX, "nothing succeeded after the last fault was over");
    }
    if (report->reads < conf->min_reads) {
        tell(c, CHECK_K13, SIZE_MAX, "%" PRIu64 " reads, fewer than %u", report->reads,
             conf->min_reads);
    }
    if (report->stale_reads < conf->min_stale) {
        tell(c, CHECK_K13, SIZE_MAX, "%" PRIu64 " reads met a lag, fewer than %u",
             report->stale_reads, conf->min_stale);
    }
    replicas = conf->has_servers ? report->replica_reads : conf->asked_replicas;
    reads = conf->has_servers ? report->reads : conf->asked;
    if (replicas * 100 < reads * conf->min_replica_pct ||
        (reads == 0 && conf->min_replica_pct > 0)) {
        tell(c, CHECK_K13, SIZE_MAX, "%" PRIu64 " of %" PRIu64 " reads on replicas: below %u %%",
             replicas, reads, conf->min_replica_pct);
    }
}

static int take_windows(struct checking *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->history->count; i++) {
        count += c->history->events[i].kind == HISTORY_FAULT ? 1 : 0;
    }
    c->windows = calloc(count + 1, sizeof(*c->windows));
    if (c->windows == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < c->history->count; i++) {
        const struct history_event *event = &c->history->events[i];

        if (event->kind == HISTORY_FAULT && (event->flags & HISTORY_F_ERRORS) != 0) {
            c->windows[c->window_count++] = (struct window){
                .begin_us = event->begin_us,
                .end_us = event->end_us + c->conf->heal_us,
            };
        }
    }
    return 0;
}

int check_run(const struct history *history, const struct truth *truth,
              const struct check_conf *conf, struct check_report *ret_report)
{
    struct checking c = {
        .history = history,
        .truth = truth,
        .conf = conf,
        .report = ret_report,
        .known = {.session = UINT32_MAX},
    };
    int rc = order_init(&c.order, history, truth);

    memset(ret_report, 0, sizeof(*ret_report));
    c.known.own = calloc(truth->key_count + (size_t)1, sizeof(*c.known.own));
    c.known.seen = calloc(truth->key_count + (size_t)1, sizeof(*c.known.seen));
    c.known.tx = calloc(truth->key_count + (size_t)1, sizeof(*c.known.tx));
    if (rc == 0) {
        rc = take_windows(&c);
    }
    if (rc == 0) {
        rc = lost_init(&c.lost, history, truth, conf->stale_us);
    }
    if (rc == 0 && (c.known.own == NULL || c.known.seen == NULL || c.known.tx == NULL)) {
        rc = -ENOMEM;
    }
    if (rc == 0) {
        ret_report->has_order = c.order.has_ranks;
        for (size_t i = 0; i < history->count; i++) {
            judge(&c, i);
        }
        judge_truth(&c);
        judge_run(&c);
    }
    free(c.known.own);
    free(c.known.seen);
    free(c.known.tx);
    free(c.windows);
    lost_fini(&c.lost);
    order_fini(&c.order);
    return rc;
}

const char *check_rule_name(enum check_rule rule)
{
    static const char *const names[] = {
#define X(name, text) [CHECK_##name] = #name,
        CHECK_RULES(X)
#undef X
    };
    return rule < CHECK_RULE_END_ ? names[rule] : "?";
}

const char *check_rule_text(enum check_rule rule)
{
    static const char *const texts[] = {
#define X(name, text) [CHECK_##name] = (text),
        CHECK_RULES(X)
#undef X
    };
    return rule < CHECK_RULE_END_ ? texts[rule] : "?";
}

int check_print(const struct check_report *report, const struct check_conf *conf, FILE *out)
{
    for (enum check_rule rule = CHECK_K1; rule < CHECK_RULE_END_; rule++) {
        bool is_enforced = (conf->enforced & CHECK_BIT(rule)) != 0;
        const char *verdict = "kept";

        if (report->counts[rule] != 0) {
            verdict = is_enforced ? "BROKEN" : "not promised";
        } else if (!is_enforced) {
            verdict = "kept, though not promised";
        }
        (void)fprintf(out, "%-4s %s: %s", check_rule_name(rule), check_rule_text(rule), verdict);
        if (report->counts[rule] != 0) {
            (void)fprintf(out, " (%" PRIu64 " times)", report->counts[rule]);
        }
        (void)fputc('\n', out);
    }
    for (size_t i = 0; i < report->shown_count; i++) {
        (void)fprintf(out, "  %s: %s\n", check_rule_name(report->shown[i].rule),
                      report->shown[i].text);
    }
    return report->broken == 0 ? 0 : 1;
}
