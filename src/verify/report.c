/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator reads behind a run.
 */
#include <inttypes.h>

#include "weir/util/clock.h"
#include "weir/verify/verify.h"

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0.0 : 100.0 * (double)part / (double)whole;
}

static double ms(uint64_t us)
{
    return (double)us / 1000.0;
}

static const char *mode_text(enum verify_mode mode)
{
    switch (mode) {
    case VERIFY_OFF:
        return "off";
    case VERIFY_WINDOW:
        return "window";
    case VERIFY_GTID:
        return "gtid";
    }
    return "?";
}

int verify_print(const struct verify_conf *conf, const struct verify_result *result, FILE *out)
{
    const struct check_report *report = &result->report;
    double seconds = (double)result->took_us / (double)CLOCK_US_PER_SECOND;

    (void)fprintf(out,
                  "%u clients, %.1f s, %" PRIu64 " operations, %.0f a second; seed %" PRIu64 "\n",
                  conf->clients, seconds, result->operations,
                  seconds > 0.0 ? (double)result->operations / seconds : 0.0, conf->seed);
    (void)fprintf(out, "reads          %" PRIu64 ", p50 %.1f ms, p99 %.1f ms\n", report->reads,
                  ms(result->read_p50_us), ms(result->read_p99_us));
    if (result->checked.has_servers) {
        (void)fprintf(out, "on replicas    %" PRIu64 " (%.1f %%), as the data says\n",
                      report->replica_reads, percent(report->replica_reads, report->reads));
    }
    if (result->asked > 0) {
        (void)fprintf(out, "on replicas    %.1f %% of %" PRIu64 " reads of which weir was asked\n",
                      percent(result->asked_replicas, result->asked), result->asked);
    }
    (void)fprintf(out,
                  "stale reads    %" PRIu64 " (%.1f %%) were older than what somebody had been "
                  "told is committed; by %.1f ms at most\n",
                  report->stale_reads, percent(report->stale_reads, report->reads),
                  ms(report->stale_max_us));
    (void)fprintf(out, "own stale      %" PRIu64 " reads did not show a write of their session\n",
                  report->counts[CHECK_K1]);
    (void)fprintf(out, "writes         %" PRIu64 " acknowledged, %" PRIu64 " of unknown outcome\n",
                  report->writes, report->unknown);
    (void)fprintf(out,
                  "errors         %" PRIu64 ", of these %" PRIu64 " while nothing was disturbed\n",
                  report->errors, report->errors_calm);
    (void)fprintf(out, "slowest        %.1f ms\n", ms(report->slowest_us));
    (void)fprintf(out, "judged by      the mode %s%s; order of commits: %s\n",
                  mode_text(result->mode),
                  conf->scope == VERIFY_GLOBAL ? ", for everybody's writes" : "",
                  report->has_order ? "the binary log" : "of each register, and by time");
    return check_print(report, &result->checked, out);
}
