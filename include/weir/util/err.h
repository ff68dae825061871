/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - one space of error codes: -errno as it is, weir's own below -WR_E_BASE.
 *
 * WHY       A code must be tellable from a success and printable wherever it ends up.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_ERR_H
#define WEIR_UTIL_ERR_H

#define WR_E_BASE 2000

/* X(name, text); the position gives the number, so add at the end only. */
#define WR_ERRORS(X)                                       \
    X(BAD_PACKET, "malformed packet")                      \
    X(TOO_LARGE, "larger than its limit")                  \
    X(SEQUENCE, "packet out of order")                     \
    X(CLOSED, "closed by the peer")                        \
    X(TIMEOUT, "timed out")                                \
    X(AUTH, "authentication failed")                       \
    X(AUTH_PLUGIN, "authentication plugin not supported")  \
    X(TLS, "TLS failed")                                   \
    X(TLS_REQUIRED, "TLS is required and was not offered") \
    X(CONFIG, "bad configuration")                         \
    X(LIMIT, "limit reached")                              \
    X(NO_SERVER, "no server is eligible")                  \
    X(UNSUPPORTED, "not supported")                        \
    X(STATE, "not possible in this state")                 \
    X(SERVER_ERROR, "the server answered with an error")   \
    X(NOT_FOUND, "not found")

enum wr_err {
    WR_E_FIRST_ = WR_E_BASE - 1,
#define X(name, text) WR_E_##name,
    WR_ERRORS(X)
#undef X
    WR_E_END_
};

/* The text of a negative code, errno values included. Never NULL; static storage, or a
 * thread-local buffer for errno texts. */
const char *err_text(int err);

#endif
