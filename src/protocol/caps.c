/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/protocol/caps.h"

/* Honoured end to end when the server has them: what they change happens at the server, whose
 * connection is opened with the same flag. Query attributes, too: commands are laid out in another
 * way with them, and pass as they are. */
static uint64_t mirrored(void)
{
    return CAP_LONG_PASSWORD | CAP_FOUND_ROWS | CAP_LONG_FLAG | CAP_NO_SCHEMA | CAP_ODBC |
           CAP_IGNORE_SPACE | CAP_INTERACTIVE | CAP_IGNORE_SIGPIPE | CAP_TRANSACTIONS |
           CAP_RESERVED | CAP_MULTI_STATEMENTS | CAP_MULTI_RESULTS | CAP_PS_MULTI_RESULTS |
           CAP_CAN_HANDLE_EXPIRED_PASSWORDS | CAP_QUERY_ATTRIBUTES;
}

/* weir does these itself, whatever the server can. SESSION_TRACK and DEPRECATE_EOF are translated
 * by the reply tracker, so that a server's bit decides nothing (caps_missing sees to it). */
static uint64_t own(void)
{
    return CAP_CONNECT_WITH_DB | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH |
           CAP_CONNECT_ATTRS | CAP_PLUGIN_AUTH_LENENC | CAP_SESSION_TRACK | CAP_DEPRECATE_EOF;
}

uint64_t caps_offer(uint64_t server_caps, bool has_tls)
{
    uint64_t extended = server_caps & CAPS_EXTENDED;

    /* Bit 0 set says "no extended flags follow", to MariaDB's clients too. */
    return ((server_caps & mirrored()) & ~CAP_LONG_PASSWORD) |
           (extended != 0 ? extended : CAP_LONG_PASSWORD) | own() | (has_tls ? CAP_SSL : 0);
}

uint64_t caps_agree(uint64_t offered, uint64_t client_caps)
{
    return offered & client_caps;
}

uint64_t caps_request(uint64_t server_caps, uint64_t client_caps, bool use_tls, bool wants_db)
{
    uint64_t want = CAP_LONG_PASSWORD | CAP_LONG_FLAG | CAP_TRANSACTIONS | CAP_RESERVED |
                    CAP_MULTI_RESULTS | CAP_PS_MULTI_RESULTS | CAP_PROTOCOL_41 |
                    CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS |
                    CAP_PLUGIN_AUTH_LENENC | CAP_SESSION_TRACK | CAP_DEPRECATE_EOF;

    if (client_caps != 0) {
        /* A client that cannot read several results gets the server's own error for a CALL. */
        want &= ~(CAP_MULTI_RESULTS | CAP_PS_MULTI_RESULTS | CAP_TRANSACTIONS | CAP_LONG_FLAG);
        want |= client_caps & mirrored();
    }
    want |= use_tls ? CAP_SSL : 0;
    want |= wants_db ? CAP_CONNECT_WITH_DB : 0;
    /* Definitions are relayed as they come, so the server must send the client's kind; and it takes
     * bulk execution from whom it has agreed on that with. Without either, bit 0 stays even where a
     * MariaDB greeting has it clear: no extended flags then. */
    uint64_t extended = client_caps & server_caps & CAPS_EXTENDED;
    if (extended != 0) {
        return (want & server_caps & ~CAP_LONG_PASSWORD) | extended;
    }
    return (want & server_caps) | CAP_LONG_PASSWORD;
}

uint64_t caps_missing(uint64_t server_caps)
{
    uint64_t need = CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_SESSION_TRACK |
                    CAP_DEPRECATE_EOF;
    return need & ~server_caps;
}

uint64_t caps_semantic(uint64_t caps)
{
    return caps & (CAP_FOUND_ROWS | CAP_NO_SCHEMA | CAP_ODBC | CAP_LOCAL_FILES | CAP_IGNORE_SPACE |
                   CAP_INTERACTIVE | CAP_MULTI_STATEMENTS | CAP_MULTI_RESULTS |
                   CAP_PS_MULTI_RESULTS | CAP_CAN_HANDLE_EXPIRED_PASSWORDS | CAP_QUERY_ATTRIBUTES);
}

const char *caps_name(uint64_t caps)
{
#define X(name, bit)                \
    if ((caps & CAP_##name) != 0) { \
        return #name;               \
    }
    CAPS_FLAGS(X)
#undef X
    return "none";
}
