/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value - one setting's text made into a value; pure.
 *
 * WHY       The same few notations everywhere, with an answer that says how to write them.
 * OWNS      none
 * THREADS   any
 * REENTRY   none
 * UNITS     durations: microseconds; sizes: bytes.
 * ERRORS    NULL, or what is wrong and what to write instead (static storage); then *ret_ is
 *           untouched.
 * BOUNDS    Numbers that do not fit 64 bits are refused.
 */
#ifndef WEIR_CONFIG_VALUE_PRIV_H
#define WEIR_CONFIG_VALUE_PRIV_H

#include "weir/config/config.h"
#include "weir/util/str.h"

WR_NODISCARD const char *value_parse_bool(struct span text, bool *ret_value);
WR_NODISCARD const char *value_parse_count(struct span text, uint64_t *ret_value);
WR_NODISCARD const char *value_parse_duration(struct span text, uint64_t *ret_us);
WR_NODISCARD const char *value_parse_size(struct span text, uint64_t *ret_bytes);
/* words: "a|b|c"; the position of text among them. */
WR_NODISCARD const char *value_parse_enum(struct span text, const char *words, unsigned *ret_index);
/* SCHEMA.NAME, or NAME: then ret_schema is empty. Both borrow from text. */
WR_NODISCARD const char *value_parse_function(struct span text, struct span *ret_schema,
                                              struct span *ret_name);
/* Letters, digits and . _ - #, 1 to 64 of them. */
WR_NODISCARD const char *value_check_name(struct span text);
/* "*" and 40 hex digits. */
WR_NODISCARD const char *value_parse_native_hash(struct span text, uint8_t ret_hash[20]);

struct value_addr {
    enum config_addr_kind kind;
    uint16_t port;
    struct span host; /* or the path; borrowed from text */
};

/* is_listen: the host must be a literal address, and port 0 (any free one) is taken. */
WR_NODISCARD const char *value_parse_addr(struct span text, bool is_listen,
                                          struct value_addr *ret_addr);

/* The shortest exact notation, as the parser above takes it. */
void value_format_size(uint64_t bytes, char *dst, size_t cap);

#endif
