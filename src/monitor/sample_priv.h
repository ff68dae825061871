/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample - what one probe has found; plain data from a probe thread to the verdict.
 *
 * WHY       Probing blocks and judging must not: this is all that passes between them.
 * OWNS      none; copied by value.
 * THREADS   Passed under the monitor's lock.
 * REENTRY   none
 * UNITS     *_us: microseconds of clock_now_us().
 * ERRORS    is_good false: the probe failed, error says how.
 * BOUNDS    SAMPLE_CHANNELS_MAX replication channels; more make the lag unknown.
 */
#ifndef WEIR_MONITOR_SAMPLE_PRIV_H
#define WEIR_MONITOR_SAMPLE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/backend/topo.h"
#include "weir/monitor/dblib.h"

#define SAMPLE_CHANNELS_MAX 8
#define SAMPLE_FILE_MAX     64
#define SAMPLE_ID_MAX       40
#define SAMPLE_GTID_MAX     2048 /* a longer set is not used */
#define SAMPLE_BEATS_MAX    8    /* heartbeat rows; the newest */
#define SAMPLE_MEMBERS_MAX  16   /* of an Aurora cluster: as many as it may have */

/* A place in a binary log. file_number 0: not known. */
struct log_place {
    char base[SAMPLE_FILE_MAX]; /* "binlog" of "binlog.000007" */
    uint64_t file_number;
    uint64_t offset;
};

enum sample_thread {
    SAMPLE_THREAD_NO,
    SAMPLE_THREAD_CONNECTING, /* receiver only: it runs, its source does not answer */
    SAMPLE_THREAD_YES,
};

struct sample_channel {
    enum sample_thread receiver;
    enum sample_thread applier;
    bool has_seconds;   /* Seconds_Behind was not NULL */
    uint64_t behind_us; /* Seconds_Behind */
    bool has_fine;      /* performance_schema knew more exactly */
    uint64_t fine_us;
    char source_uuid[SAMPLE_ID_MAX]; /* MySQL */
    uint64_t source_id;              /* server id of the source */
    struct log_place applied;        /* in the source's binary log */
};

struct sample_beat {
    uint64_t key;      /* server_id of the row */
    uint64_t stamp_us; /* as written, in whatever time zone: to be compared with its like */
};

struct sample_heartbeat {
    struct sample_beat beats[SAMPLE_BEATS_MAX];
    uint8_t count;
    char error[DB_ERROR_MAX]; /* why there are none; empty: all well, or nobody asked */
};

struct sample_aurora {
    bool is_there; /* a member of an Aurora cluster */
    bool has_lag;  /* a reader whose storage has reported lately */
    uint64_t lag_us;
    char id[SAMPLE_FILE_MAX];                          /* its name in the cluster */
    char members[SAMPLE_MEMBERS_MAX][SAMPLE_FILE_MAX]; /* those that gave a sign of life now */
    uint8_t member_count;
};

struct sample {
    bool is_good;
    uint64_t begin_us; /* before the first query */
    uint64_t end_us;
    char error[DB_ERROR_MAX];
    unsigned error_number;

    struct sockaddr_storage addr; /* in use; 0 length: the name does not resolve */
    socklen_t addr_len;

    enum topo_flavour flavour;
    uint32_t version;
    char version_text[64];
    char version_comment[64];
    bool is_writable; /* none of read_only, super_read_only, innodb_read_only */
    char uuid[SAMPLE_ID_MAX];
    uint64_t server_id;
    uint32_t max_connections;
    struct topo_defaults defaults;
    struct log_place written;   /* end of its own binary log */
    char gtid[SAMPLE_GTID_MAX]; /* what it has executed, of a writable one; empty: not known */
    uint64_t has_all_us;        /* a replica: has all that the primary had then; 0: not known */
    uint64_t lacks_us; /* a replica: lacks something that the primary had then; 0: not known to */

    uint8_t channel_count;
    bool has_more_channels;
    struct sample_channel channels[SAMPLE_CHANNELS_MAX];
    struct sample_heartbeat heartbeat;
    struct sample_aurora aurora;
};

/* "binlog.000007" and an offset; an empty or odd name gives a place that is not known. */
struct log_place log_place_of(struct span file, struct span offset);
/* "2026-11-26T18:08:02.123450", with a blank for the T and with or without a fraction, as a count of
 * microseconds; false: it is no such time. */
bool sample_stamp_parse(struct span text, uint64_t *ret_us);
/* Nothing but what sets of GTIDs are made of: fit to be put between quotes. */
bool sample_gtid_is_plain(const char *gtid);
/* 90704 of "9.7.4-2", 101119 of "10.11.19-MariaDB-..."; 0: not a version. */
uint32_t sample_version_parse(struct span text);

#endif
