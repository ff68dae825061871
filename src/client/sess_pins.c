/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "weir/classify/left.h"
#include "weir/util/err.h"

#include "sess_left_priv.h"
#include "sess_priv.h"

/*
 * Pins that are about names: temporary tables, prepared texts, handlers, named locks. What a
 * statement does to them is read before it is sent (its text may be gone afterwards) and takes
 * effect when its outcome is known. A pin ends with its last name. When not every name is known it
 * is blurred, and only a reset ends it.
 *
 * Which named locks are held the text does not tell: RELEASE_LOCK() may fail, or be one of several.
 * So the server is asked, on the same connection, when something may have been freed.
 */

#define PINS_NAMED                                                                \
    (PIN_BIT(PIN_TEMP_TABLE) | PIN_BIT(PIN_TEXT_PREPARE) | PIN_BIT(PIN_HANDLER) | \
     PIN_BIT(PIN_NAMED_LOCK))

/* op, pin, length of the name */
#define PENDING_HEAD 4U
#define PENDING_MAX  16384U

static bool is_about_names(const struct sess *sess, const struct facts *facts)
{
    const uint64_t bits =
        FACT(DDL) | FACT(TEMP_TABLE) | FACT(NAMED_LOCK) | FACT(MULTI) | FACT(LARGE) | FACT(BAD_LEX);

    if ((facts->pins & PINS_NAMED) != 0) {
        return true;
    }
    return (sess->pins & PINS_NAMED) != 0 &&
           ((facts->bits & bits) != 0 || facts->verb == VERB_DEALLOCATE ||
            facts->verb == VERB_HANDLER);
}

/* schema, a zero byte, name; or the name alone. 0: too long to be one. */
static size_t key_of(const struct left_name *name, struct span schema, uint8_t *key, size_t cap)
{
    char text[NAMESET_NAME_MAX / 2];
    size_t len = 0;

    if (name->pin == PIN_NAMED_LOCK) {
        memcpy(key, name->name.p, name->name.len < cap ? name->name.len : 0);
        return name->name.len < cap ? name->name.len : 0;
    }
    if (name->pin == PIN_TEMP_TABLE) {
        len = name->schema.len == 0 ? span_copy(schema, text, sizeof(text))
                                    : classify_name_decode(name->schema, text, sizeof(text));
        if (len >= sizeof(text) - 1) {
            return 0;
        }
        memcpy(key, text, len);
        key[len++] = '\0';
    }
    size_t more = classify_name_decode(name->name, text, sizeof(text));

    if (more >= sizeof(text)) {
        return 0;
    }
    memcpy(key + len, text, more);
    return len + more;
}

static bool pend(struct sess_pins *pins, const struct left_name *name, struct span schema)
{
    uint8_t key[NAMESET_NAME_MAX];
    size_t len = key_of(name, schema, key, sizeof(key));
    const uint8_t head[PENDING_HEAD] = {(uint8_t)name->op, (uint8_t)name->pin, (uint8_t)len,
                                        (uint8_t)(len >> 8)};

    return len != 0 && buf_append(&pins->pending, head, sizeof(head), PENDING_MAX) >= 0 &&
           buf_append(&pins->pending, key, len, PENDING_MAX) >= 0;
}

void sess_pins_note(struct sess *sess, struct span sql, const struct facts *facts,
                    struct span schema)
{
    struct sess_pins *pins = sess->named;
    struct classify_env env;
    struct left_names names;

    if (!is_about_names(sess, facts)) {
        return;
    }
    if (pins == NULL) {
        pins = calloc(1, sizeof(*pins));
        sess->named = pins;
    }
    if (pins == NULL) {
        sess->cmd.pins |= PIN_BIT(PIN_UNKNOWN); /* which nothing but a reset ends */
        return;
    }
    sess_classify_env(sess, &env);
    left_find_names(sql, &env, facts, &names);
    buf_clear(&pins->pending);
    pins->known = names.known;
    pins->blurred = names.blurred;
    pins->frees_locks = names.frees_locks;
    for (unsigned i = 0; i < names.count; i++) {
        if (!pend(pins, &names.names[i], schema)) {
            buf_clear(&pins->pending);
            pins->known = 0;
            pins->blurred = PINS_NAMED;
            break;
        }
    }
    sess->cmd.has_names = true;
}

void sess_pins_blur(struct sess *sess)
{
    if (sess->cmd.has_names) {
        sess->named->known = 0;
        sess->named->blurred |= PINS_NAMED;
        buf_clear(&sess->named->pending);
    }
}

/* --- when the outcome is known --- */

/* Found out about the text or its names, when the old statement of that name had gone already. */
static bool is_prepare_error(uint16_t code)
{
    static const uint16_t codes[] = {1046, 1049, 1051, 1052, 1054, 1064, 1065, 1109,
                                     1142, 1143, 1146, 1243, 1295, 1305, 1461};

    for (size_t i = 0; i < WR_ARRAY_LEN(codes); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

/* The statement has failed, and did nothing to temporary tables. */
static bool is_table_error(uint16_t code)
{
    return code == 1050 || code == 1064 || code == 1146 || code == 1051;
}

static void apply_error(struct sess *sess, enum left_op op, enum classify_pin pin, struct span name)
{
    struct nameset *set = &sess->named->set;
    uint16_t code = sess->cmd.err_code;

    if (pin == PIN_TEXT_PREPARE && op == LEFT_ENSURE && is_prepare_error(code)) {
        nameset_remove(set, pin, name);
    } else if (pin == PIN_HANDLER && op == LEFT_DROP && code == 1109) {
        nameset_remove(set, pin, name);
    } else if (pin == PIN_NAMED_LOCK && code != 1064 && nameset_count(set, pin, name) == 0) {
        nameset_add(set, pin, name); /* it may have been taken before the error */
    } else if (pin == PIN_TEMP_TABLE && op != LEFT_DROP && !is_table_error(code)) {
        set->blurred |= PIN_BIT(pin);
    }
}

static void apply_one(struct sess *sess, enum left_op op, enum classify_pin pin, struct span name)
{
    struct nameset *set = &sess->named->set;

    if (sess->cmd.got_err) {
        apply_error(sess, op, pin, name);
        return;
    }
    switch (op) {
    case LEFT_ADD:
        nameset_add(set, pin, name);
        return;
    case LEFT_ENSURE:
        if (nameset_count(set, pin, name) == 0) {
            nameset_add(set, pin, name);
        }
        return;
    case LEFT_DROP:
        nameset_remove(set, pin, name);
        return;
    }
}

static void apply_pending(struct sess *sess)
{
    struct span all = buf_span(&sess->named->pending);
    size_t at = 0;

    while (all.len - at >= PENDING_HEAD) {
        const uint8_t *p = all.p + at;
        size_t len = p[2] | (size_t)p[3] << 8;

        apply_one(sess, (enum left_op)p[0], (enum classify_pin)p[1],
                  (struct span){p + PENDING_HEAD, len});
        at += PENDING_HEAD + len;
    }
    buf_fini(&sess->named->pending);
}

/* RELEASE_ALL_LOCKS() and its like end the pin when nobody can say which locks there are. */
static void apply_frees(struct sess *sess)
{
    struct sess_pins *pins = sess->named;
    struct sess_cmd *cmd = &sess->cmd;
    uint32_t lock = PIN_BIT(PIN_NAMED_LOCK);

    if (cmd->got_err || !pins->frees_locks) {
        return;
    }
    if ((pins->set.blurred & lock) == 0) {
        pins->is_ask_due = true;
        cmd->unpins &= ~lock;
    } else if ((cmd->unpins & lock) != 0 && (cmd->pins & lock) == 0) {
        nameset_clear(&pins->set, PIN_NAMED_LOCK);
    }
}

uint32_t sess_pins_apply(struct sess *sess)
{
    struct sess_pins *pins = sess->named;
    struct sess_cmd *cmd = &sess->cmd;
    uint32_t now = (sess->pins | cmd->pins) & PINS_NAMED;
    uint32_t ended = 0;

    if (!cmd->has_names) {
        return 0;
    }
    pins->set.blurred |= (pins->blurred | (cmd->pins & ~pins->known)) & now;
    apply_pending(sess);
    apply_frees(sess);
    for (unsigned pin = 0; pin < PIN_END_; pin++) {
        if ((now & PIN_BIT(pin)) != 0 && nameset_is_empty(&pins->set, (enum classify_pin)pin)) {
            ended |= PIN_BIT(pin);
        }
    }
    cmd->pins &= ~ended;
    return ended & sess->pins;
}

void sess_pins_forget(struct sess *sess)
{
    if (sess->named != NULL) {
        nameset_fini(&sess->named->set);
        buf_fini(&sess->named->pending);
        free(sess->named);
        sess->named = NULL;
    }
    sess->cmd.has_names = false;
}

/* --- named locks: the server knows --- */

static int ask_text(const struct nameset *set, struct buf *text)
{
    int r = 0;

    for (unsigned n = 0; r >= 0; n++) {
        struct span name = nameset_name(set, PIN_NAMED_LOCK, n);

        if (name.p == NULL) {
            break;
        }
        r = buf_append_text(text, n == 0 ? "SELECT " : "+", SIZE_MAX);
        r = r < 0 ? r : buf_append_text(text, "COALESCE(IS_USED_LOCK('", SIZE_MAX);
        r = r < 0 ? r : buf_append_span(text, name, SIZE_MAX);
        r = r < 0 ? r : buf_append_text(text, "')=CONNECTION_ID(),0)", SIZE_MAX);
    }
    return r < 0 ? r : 0;
}

bool sess_pins_ask(struct sess *sess)
{
    struct sess_pins *pins = sess->named;
    struct conn *conn = sess_conn(sess, sess->home_server);
    struct buf text = {0};
    const char *sql = NULL;
    int r = -1;

    if (pins == NULL || !pins->is_ask_due || sess->pins != PIN_BIT(PIN_NAMED_LOCK) ||
        (pins->set.blurred & PIN_BIT(PIN_NAMED_LOCK)) != 0 || sess->tx_open ||
        sess->next_tx_pending || sess_has_diagnostics(sess) || conn == NULL ||
        conn->state != CONN_ST_READY) {
        return false;
    }
    pins->is_ask_due = false;
    if (ask_text(&pins->set, &text) < 0 || (sql = buf_text(&text)) == NULL) {
        buf_fini(&text);
        return false; /* no memory: the pin stays until the next time */
    }
    r = sess_send_text(conn, sql);
    buf_fini(&text);
    if (r < 0) {
        sess_server_lost(sess, sess->home_server);
        return true;
    }
    sess->last_uses = 0; /* what the connection says of the last statement is about this one now */
    sess_sync_wait(sess, SESS_OWN_ASK_LOCKS, sess->home_server, 1, REPLY_QUERY);
    return true;
}

void sess_pins_answer(struct sess *sess, uint64_t held)
{
    if (sess->named != NULL && held == 0) {
        nameset_clear(&sess->named->set, PIN_NAMED_LOCK);
        sess_pins_change(sess, 0, PIN_BIT(PIN_NAMED_LOCK));
    }
}
