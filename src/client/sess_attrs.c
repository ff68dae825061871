/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query attributes (MySQL): the attribute weir.NAME means what the hint NAME means in a comment, and
 * wins over it. All of them, weir's own too, are passed on as they came: a connection of a client who
 * may send them is one that takes them.
 */
#include <string.h>
#include <strings.h>

#include "weir/protocol/attrs.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/stmt.h"

#include "sess_stmt_priv.h"

static const char PREFIX[] = "weir.";

static void add(struct sess *sess, struct attrs *attrs, struct facts *facts)
{
    const size_t prefix_len = sizeof(PREFIX) - 1;
    uint8_t unknown = facts->hint_unknown_count;
    struct attr attr;

    while (attrs_next(attrs, &attr)) {
        struct span name = attr.name;

        if (attr.is_null || name.len <= prefix_len ||
            strncasecmp((const char *)name.p, PREFIX, prefix_len) != 0) {
            continue;
        }
        name.p += prefix_len;
        name.len -= prefix_len;
        classify_hint_add(facts, name, attr.text);
    }
    if (facts->hint_unknown_count != unknown) {
        metric_add(sess->env->metrics, METRIC_HINTS_UNKNOWN, METRIC_NONE,
                   facts->hint_unknown_count - unknown);
    }
}

size_t sess_attrs_text_at(const struct sess *sess, struct span packet)
{
    struct span payload = {packet.p + FRAME_HEADER, packet.len - FRAME_HEADER};
    struct attrs attrs;
    size_t at = 1;

    if ((sess->caps & CAP_QUERY_ATTRIBUTES) != 0 && payload.p[0] == COM_QUERY &&
        attrs_query_decode(payload, &attrs, &at) != DEC_OK) {
        return 0;
    }
    return FRAME_HEADER + at;
}

void sess_attrs_of_text(struct sess *sess, struct span packet, struct facts *facts)
{
    struct span payload = {packet.p + FRAME_HEADER, packet.len - FRAME_HEADER};
    struct attrs attrs;
    size_t at = 0;

    /* nearly always there are none: a count of 0 */
    if ((sess->caps & CAP_QUERY_ATTRIBUTES) != 0 && payload.p[0] == COM_QUERY && payload.len > 1 &&
        payload.p[1] != 0 && attrs_query_decode(payload, &attrs, &at) == DEC_OK) {
        add(sess, &attrs, facts);
    }
}

const struct facts *sess_attrs_of_execute(struct sess *sess, struct span packet, struct facts *own)
{
    const struct stmt *stmt = sess->cmd.stmt;
    struct span payload = {packet.p + FRAME_HEADER, packet.len - FRAME_HEADER};
    struct stmt_execute execute;
    struct attrs attrs;

    /* where values stand is not known when some have come as long data */
    if ((sess->caps & CAP_QUERY_ATTRIBUTES) == 0 || packet.len <= FRAME_HEADER ||
        payload.p[0] != COM_STMT_EXECUTE || stmt->is_data_sent || buf_len(&stmt->data) != 0 ||
        stmt_execute_named_decode(payload, stmt->params, &execute) != DEC_OK) {
        return &stmt->facts;
    }
    attrs_of_execute(&execute, stmt->params, &attrs);
    if (attrs.from >= attrs.count) {
        return &stmt->facts;
    }
    *own = stmt->facts;
    add(sess, &attrs, own);
    return own;
}
