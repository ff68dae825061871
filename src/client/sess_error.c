/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/client/sess_error.h"

#include <errno.h>
#include <string.h>

#include "weir/backend/conn.h"
#include "weir/protocol/result.h"
#include "weir/util/err.h"

enum {
    ER_ACCESS_DENIED = 1045,
    ER_ACCESS_DENIED_NO_PASSWORD = 1698,
    ER_ACCOUNT_LOCKED = 3118, /* MySQL; MariaDB's names no host */
};

struct sess_error_row {
    uint16_t code;
    const char *sqlstate;
    const char *text;
};

static const struct sess_error_row rows[] = {
#define X(name, code, sqlstate, text) [SESS_ERR_##name] = {(code), (sqlstate), (text)},
    SESS_ERRORS(X)
#undef X
};

uint16_t sess_error_code(enum sess_err error)
{
    return rows[error].code;
}

const char *sess_error_sqlstate(enum sess_err error)
{
    return rows[error].sqlstate;
}

/* Appends what fits; cap counts the terminator. */
static size_t put(char *dst, size_t cap, size_t len, const void *bytes, size_t count)
{
    size_t room = cap - 1 - len;
    if (count > room) {
        count = room;
    }
    if (count > 0) {
        memcpy(dst + len, bytes, count);
    }
    return len + count;
}

size_t sess_error_format(enum sess_err error, const struct span *args, size_t count, char *dst,
                         size_t cap)
{
    const char *text = rows[error].text;
    size_t next = 0;
    size_t len = 0;

    if (cap == 0) {
        return 0;
    }
    for (;;) {
        const char *hole = strstr(text, "{}");
        if (hole == NULL) {
            len = put(dst, cap, len, text, strlen(text));
            break;
        }
        len = put(dst, cap, len, text, (size_t)(hole - text));
        if (next < count) {
            len = put(dst, cap, len, args[next].p, args[next].len);
            next++;
        }
        text = hole + 2;
    }
    dst[len] = '\0';
    return len;
}

enum sess_err sess_error_of(int err)
{
    switch (-err) {
    case WR_E_TIMEOUT:
    case ETIMEDOUT:
        return SESS_ERR_SERVER_TIMEOUT;
    case WR_E_TOO_LARGE:
        return SESS_ERR_PACKET_TOO_LARGE;
    case WR_E_SEQUENCE:
        return SESS_ERR_OUT_OF_ORDER;
    case WR_E_LIMIT:
        return SESS_ERR_CON_COUNT;
    case WR_E_NO_SERVER:
        return SESS_ERR_NO_SERVER;
    case WR_E_AUTH:
        return SESS_ERR_ACCESS_DENIED;
    case WR_E_UNSUPPORTED:
        return SESS_ERR_NOT_SUPPORTED;
    case ENOMEM:
        return SESS_ERR_UNKNOWN;
    default:
        return SESS_ERR_SERVER_LOST;
    }
}

void sess_error_put(struct result *result, enum sess_err error, const struct span *args,
                    size_t count)
{
    char text[SESS_ERROR_TEXT_MAX];
    size_t len = sess_error_format(error, args, count, text, sizeof(text));
    result_put_err(result, rows[error].code, rows[error].sqlstate,
                   (struct span){(const uint8_t *)text, len});
}

/* "...'user'@'10.0.0.7' (using...": the server saw weir's address, the client has one of its own.
 * The user name may hold anything, so the last such pair counts. Returns the length of dst. */
static size_t put_client_host(const char *text, struct span host, char *dst, size_t cap)
{
    const char *at = NULL;
    for (const char *p = strstr(text, "'@'"); p != NULL; p = strstr(p + 1, "'@'")) {
        at = p;
    }
    const char *end = at == NULL ? NULL : strchr(at + 3, '\'');
    size_t len = 0;
    if (end == NULL) {
        len = put(dst, cap, 0, text, strlen(text));
    } else {
        len = put(dst, cap, 0, text, (size_t)(at + 3 - text));
        len = put(dst, cap, len, host.p, host.len);
        len = put(dst, cap, len, end, strlen(end));
    }
    dst[len] = '\0';
    return len;
}

void sess_error_put_failure(struct result *result, const struct conn_failure *failure,
                            struct span server_name, struct span client_host)
{
    if (failure->err == -WR_E_SERVER_ERROR) {
        char text[CONN_ERROR_TEXT_MAX + 256];
        size_t len = 0;
        if (failure->code == ER_ACCESS_DENIED || failure->code == ER_ACCESS_DENIED_NO_PASSWORD ||
            failure->code == ER_ACCOUNT_LOCKED) {
            len = put_client_host(failure->text, client_host, text, sizeof(text));
        } else {
            len = put(text, sizeof(text), 0, failure->text, failure->text_len);
        }
        result_put_err(result, failure->code, failure->sqlstate,
                       (struct span){(const uint8_t *)text, len});
        return;
    }
    const struct span args[2] = {server_name, span_of(failure->text)};
    if (failure->err == -WR_E_TIMEOUT) {
        sess_error_put(result, SESS_ERR_SERVER_TIMEOUT, args, 1);
    } else {
        sess_error_put(result, SESS_ERR_SERVER_LOST, args, 2);
    }
}
