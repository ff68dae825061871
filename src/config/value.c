/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "weir/util/duration.h"

#include "value_priv.h"

static const struct {
    const char *name;
    uint64_t factor;
} size_units[] = {
    {"B", 1},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024 * 1024 * 1024},
    {"TiB", UINT64_C(1024) * 1024 * 1024 * 1024},
};

const char *value_parse_bool(struct span text, bool *ret_value)
{
    if (span_eq_text(text, "true")) {
        *ret_value = true;
        return NULL;
    }
    if (span_eq_text(text, "false")) {
        *ret_value = false;
        return NULL;
    }
    return "write true or false";
}

const char *value_parse_count(struct span text, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t n = span_digits(text, &value);

    if (n == 0 || n != text.len) {
        return "write a whole number such as 100";
    }
    *ret_value = value;
    return NULL;
}

const char *value_parse_duration(struct span text, uint64_t *ret_us)
{
    return duration_parse(text, ret_us) ? NULL : "write a time with its unit: 250ms, 5s, 5m, 2h";
}

const char *value_parse_size(struct span text, uint64_t *ret_bytes)
{
    static const char hint[] = "write a size with its unit: 512B, 64KiB, 64MiB, 1GiB";
    uint64_t value = 0;
    size_t n = span_digits(text, &value);

    if (n == 0) {
        return hint;
    }
    if (n == text.len && value == 0) {
        *ret_bytes = 0;
        return NULL;
    }
    for (size_t i = 0; i < WR_ARRAY_LEN(size_units); i++) {
        if (span_eq_text((struct span){text.p + n, text.len - n}, size_units[i].name) &&
            value <= UINT64_MAX / size_units[i].factor) {
            *ret_bytes = value * size_units[i].factor;
            return NULL;
        }
    }
    return hint;
}

const char *value_parse_enum(struct span text, const char *words, unsigned *ret_index)
{
    unsigned index = 0;

    for (const char *p = words; *p != '\0'; index++) {
        size_t len = strcspn(p, "|");

        if (span_eq(text, (struct span){(const uint8_t *)p, len})) {
            *ret_index = index;
            return NULL;
        }
        p += len;
        p += *p == '|' ? 1 : 0;
    }
    return "unknown word";
}

static bool value_is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool value_is_all_of(struct span text, const char *extra)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!value_is_alnum(text.p[i]) && (text.p[i] == '\0' || strchr(extra, text.p[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

const char *value_check_name(struct span text)
{
    if (text.len == 0 || text.len > 64 || !value_is_all_of(text, "._-#")) {
        return "write 1 to 64 letters, digits and . _ - #";
    }
    return NULL;
}

/* Bytes that may stand in a bare name of a schema or function; letters beyond ASCII, too. */
static bool value_is_identifier(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && c != '_' && c != '$' && c != '-' && c < 0x80) {
            return false;
        }
    }
    return text.len > 0 && text.len <= 256;
}

const char *value_parse_function(struct span text, struct span *ret_schema, struct span *ret_name)
{
    const uint8_t *dot = memchr(text.p, '.', text.len);
    struct span schema = {text.p, 0};
    struct span name = text;

    if (dot != NULL) {
        schema.len = (size_t)(dot - text.p);
        name = (struct span){dot + 1, text.len - schema.len - 1};
    }
    if (!value_is_identifier(name) || (dot != NULL && !value_is_identifier(schema))) {
        return "write SCHEMA.NAME, or NAME for a loadable function, without quotes";
    }
    *ret_schema = schema;
    *ret_name = name;
    return NULL;
}

static int value_hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

const char *value_parse_native_hash(struct span text, uint8_t ret_hash[20])
{
    static const char hint[] =
        "write \"*\" and 40 hex digits, in quotes, as the account table of a "
        "server shows it";
    uint8_t hash[20];

    if (text.len != 41 || text.p[0] != '*') {
        return hint;
    }
    for (size_t i = 0; i < sizeof hash; i++) {
        int high = value_hex(text.p[1 + 2 * i]);
        int low = value_hex(text.p[2 + 2 * i]);

        if (high < 0 || low < 0) {
            return hint;
        }
        hash[i] = (uint8_t)(high * 16 + low);
    }
    memcpy(ret_hash, hash, sizeof hash);
    return NULL;
}

static bool value_is_ip(struct span host, int family)
{
    uint8_t addr[16];
    char text[INET6_ADDRSTRLEN];

    if (host.len >= sizeof text) {
        return false;
    }
    (void)span_copy(host, text, sizeof text);
    return inet_pton(family, text, addr) == 1;
}

static const char *value_parse_unix(struct span path, struct value_addr *ret_addr)
{
    struct sockaddr_un sun;

    if (path.len == 0 || path.p[0] != '/') {
        return "write unix: and an absolute path, as in unix:/run/weir/weir.sock";
    }
    if (path.len >= sizeof sun.sun_path) {
        return "the path of a unix socket is at most 107 bytes; choose a shorter one";
    }
    *ret_addr = (struct value_addr){CONFIG_ADDR_UNIX, 0, path};
    return NULL;
}

/* host and ":port" apart; brackets taken off. NULL when it went well. */
static const char *value_split_port(struct span text, struct span *ret_host, struct span *ret_port,
                                    bool *ret_is_bracket)
{
    static const char hint[] = "write HOST:PORT, [IPv6]:PORT or unix:/PATH";
    const uint8_t *colon = memrchr(text.p, ':', text.len);
    size_t at = 0;

    if (colon == NULL) {
        return "the port is missing; write HOST:PORT, as in db1:3306";
    }
    at = (size_t)(colon - text.p);
    *ret_port = (struct span){colon + 1, text.len - at - 1};
    *ret_host = (struct span){text.p, at};
    *ret_is_bracket = false;
    if (at > 0 && text.p[0] == '[') {
        if (text.p[at - 1] != ']') {
            return hint;
        }
        *ret_host = (struct span){text.p + 1, at - 2};
        *ret_is_bracket = true;
    } else if (memchr(text.p, ':', at) != NULL) {
        return "write an IPv6 address in brackets and in quotes, as in \"[::1]:3306\"";
    }
    return at == 0 ? hint : NULL;
}

const char *value_parse_addr(struct span text, bool is_listen, struct value_addr *ret_addr)
{
    struct span host = {NULL, 0};
    struct span port_text = {NULL, 0};
    bool is_bracket = false;
    const char *problem = NULL;
    uint64_t port = 0;
    size_t n = 0;

    if (text.len >= 5 && memcmp(text.p, "unix:", 5) == 0) {
        return value_parse_unix((struct span){text.p + 5, text.len - 5}, ret_addr);
    }
    problem = value_split_port(text, &host, &port_text, &is_bracket);
    if (problem != NULL) {
        return problem;
    }
    n = span_digits(port_text, &port);
    if (n == 0 || n != port_text.len || port > 65535 || (port == 0 && !is_listen)) {
        return "the port must be a number from 1 to 65535";
    }
    if (is_bracket ? !value_is_ip(host, AF_INET6)
                   : (host.len > 253 || !value_is_all_of(host, ".-_"))) {
        return is_bracket ? "not an IPv6 address between the brackets"
                          : "a host is made of letters, digits and . - _";
    }
    if (is_listen && !is_bracket && !value_is_ip(host, AF_INET)) {
        return "write the IP address to listen on, not a name, as in 127.0.0.1:3310";
    }
    *ret_addr = (struct value_addr){CONFIG_ADDR_TCP, (uint16_t)port, host};
    return NULL;
}

void value_format_size(uint64_t bytes, char *dst, size_t cap)
{
    size_t best = 0;

    for (size_t i = 1; i < WR_ARRAY_LEN(size_units); i++) {
        if (bytes != 0 && bytes % size_units[i].factor == 0) {
            best = i;
        }
    }
    (void)snprintf(dst, cap, "%" PRIu64 "%s", bytes / size_units[best].factor,
                   size_units[best].name);
}
