/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored functions: their names and sums of their bodies at every load, the bodies themselves only when
 * a sum has changed. What the account may not see is not harmless, and counted.
 *
 * A function that was defined a moment ago is not harmless yet: a replica that may serve reads can be
 * as far behind as the limit of lag, and would run what the name meant before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "weir/classify/body.h"
#include "weir/util/attr.h"
#include "weir/util/err.h"

#include "load_priv.h"

#define PARAMS_MAX      100000
#define PARAMS_OF_ONE   64
#define SAME_SECOND_AGE 2 /* LAST_ALTERED is in seconds: younger definitions may change unseen */

#define OF_USERS  " WHERE ROUTINE_SCHEMA NOT IN ('mysql','sys')"
#define IN_ORDER  " ORDER BY ROUTINE_SCHEMA, ROUTINE_NAME"
#define FUNCTIONS OF_USERS " AND ROUTINE_TYPE = 'FUNCTION'"

static const char SUMS_SQL[] =
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, LENGTH(ROUTINE_DEFINITION),"
    " TIMESTAMPDIFF(SECOND, LAST_ALTERED, NOW()), LAST_ALTERED, SHA2(CONCAT_WS(',', SQL_MODE,"
    " CHARACTER_SET_CLIENT, ROUTINE_BODY, EXTERNAL_LANGUAGE, ROUTINE_DEFINITION), 256)"
    " FROM information_schema.ROUTINES" OF_USERS IN_ORDER;
static const char BODIES_SQL[] =
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION, SQL_MODE, CHARACTER_SET_CLIENT,"
    " ROUTINE_BODY, EXTERNAL_LANGUAGE FROM information_schema.ROUTINES" FUNCTIONS IN_ORDER;
static const char PARAMS_SQL[] =
    "SELECT SPECIFIC_SCHEMA, SPECIFIC_NAME, PARAMETER_NAME FROM information_schema.PARAMETERS"
    " WHERE SPECIFIC_SCHEMA NOT IN ('mysql','sys') AND ROUTINE_TYPE = 'FUNCTION'"
    " AND ORDINAL_POSITION > 0 LIMIT 100000"; /* PARAMS_MAX */
static const char LOADABLE_MYSQL[] = "SELECT UDF_NAME, @@performance_schema"
                                     " FROM performance_schema.user_defined_functions"
                                     " UNION ALL SELECT NULL, @@performance_schema";
static const char LOADABLE_MARIADB[] = "SELECT name, 1 FROM mysql.func UNION ALL SELECT NULL, 1";

/* A row of BODIES_SQL or PARAMS_SQL; borrows from the rows. */
struct body_row {
    struct span schema;
    struct span name;
    struct span body; /* of PARAMS_SQL: the parameter */
    struct span sql_mode;
    struct span charset;
    bool is_sql;
};

struct row_list {
    struct db_rows *rows; /* owned; what the list borrows from */
    struct body_row *list;
    size_t count;
    size_t cap;
};

struct load_bodies {
    struct row_list bodies;
    struct row_list params;
    uint64_t sum; /* of all that they depend on; 0: nothing is kept */
};

/* One that is still to be judged; its spans borrow from names and bodies. */
struct function {
    struct span schema;
    struct span name;
    const struct body_row *row;
    char note[CATALOGUE_NOTE_MAX]; /* why it is not harmless so far */
    bool is_settled;               /* it is not, whatever else turns out to be */
};

struct load_functions {
    struct load_source source; /* borrowed members */
    struct load_bodies *bodies;
    struct db_rows *names; /* owned */
    bool owns_bodies;
    struct function *list; /* owned */
    size_t count;
    size_t cap;
};

static int rows_failed(const struct load_source *source, const char *what,
                       struct load_report *report)
{
    (void)snprintf(report->error, sizeof(report->error), "%s: %s", what, db_error(source->db));
    return -WR_E_SERVER_ERROR;
}

static void list_drop(struct row_list *list)
{
    free(list->list);
    db_rows_free(list->rows);
    *list = (struct row_list){NULL, NULL, 0, 0};
}

static int list_add(struct row_list *list, const struct body_row *row)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct body_row *more = realloc(list->list, cap * sizeof(*more));

        if (!more) {
            return -ENOMEM;
        }
        list->list = more;
        list->cap = cap;
    }
    list->list[list->count++] = *row;
    return 0;
}

struct load_bodies *load_bodies_create(void)
{
    return calloc(1, sizeof(struct load_bodies));
}

void load_bodies_destroy(struct load_bodies *bodies)
{
    if (bodies) {
        list_drop(&bodies->bodies);
        list_drop(&bodies->params);
        free(bodies);
    }
}

void load_functions_destroy(struct load_functions *functions)
{
    if (functions) {
        if (functions->owns_bodies) {
            load_bodies_destroy(functions->bodies);
        }
        db_rows_free(functions->names);
        free(functions->list);
        free(functions);
    }
}

/* "123"; what is no number, or negative, is 0. */
static uint64_t number_of(struct span text)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || value > UINT32_MAX) {
            return 0;
        }
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    return value;
}

/* SQL as we know it: no JavaScript, nothing that another program runs. */
static bool is_sql(struct span body, struct span language)
{
    return span_eq_text_nocase(body, "SQL") &&
           (language.len == 0 || span_eq_text_nocase(language, "SQL"));
}

static int bodies_read(const struct load_source *source, struct load_bodies *bodies,
                       struct load_report *report)
{
    int rc = 0;

    list_drop(&bodies->bodies);
    list_drop(&bodies->params);
    if (db_query(source->db, BODIES_SQL, &bodies->bodies.rows) < 0) {
        return rows_failed(source, "information_schema.ROUTINES", report);
    }
    while (rc == 0 && db_rows_next(bodies->bodies.rows)) {
        const struct db_rows *r = bodies->bodies.rows;
        struct body_row row = {
            db_rows_get(r, 0), db_rows_get(r, 1), db_rows_get(r, 2),
            db_rows_get(r, 3), db_rows_get(r, 4), is_sql(db_rows_get(r, 5), db_rows_get(r, 6)),
        };

        rc = list_add(&bodies->bodies, &row);
    }
    if (rc == 0 && db_query(source->db, PARAMS_SQL, &bodies->params.rows) < 0) {
        return rows_failed(source, "information_schema.PARAMETERS", report);
    }
    while (rc == 0 && db_rows_next(bodies->params.rows)) {
        const struct db_rows *r = bodies->params.rows;
        struct body_row row = {
            .schema = db_rows_get(r, 0), .name = db_rows_get(r, 1), .body = db_rows_get(r, 2)};

        rc = list_add(&bodies->params, &row);
    }
    if (bodies->params.count >= PARAMS_MAX) {
        bodies->params.count = 0; /* perhaps not all of them: then none is known */
    }
    return rc;
}

/* --- names -------------------------------------------------------------------------------------- */

static int loadable_read(const struct load_source *source, struct catalogue_builder *builder,
                         struct load_report *report)
{
    bool is_mariadb = source->flavour == TOPO_FLAVOUR_MARIADB;
    struct db_rows *rows = NULL;
    struct span none = span_of("");
    bool is_seen = false;
    int rc = 0;

    if (db_query(source->db, is_mariadb ? LOADABLE_MARIADB : LOADABLE_MYSQL, &rows) < 0) {
        (void)snprintf(report->no_loadable, sizeof(report->no_loadable), "%s",
                       db_error(source->db));
        return 0;
    }
    while (rc == 0 && db_rows_next(rows)) {
        struct span name = db_rows_get(rows, 0);

        is_seen = is_seen || span_eq_text(db_rows_get(rows, 1), "1");
        if (name.len > 0) {
            rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION_LOADABLE, none, name, none);
        }
    }
    if (!is_seen) {
        (void)snprintf(report->no_loadable, sizeof(report->no_loadable),
                       "performance_schema is off");
    }
    db_rows_free(rows);
    return rc;
}

/* The operator's lists: primary wins, so it comes last. */
static int lists_apply(const struct load_functions *functions, struct catalogue_builder *builder)
{
    const struct config_functions *lists = functions->source.lists;
    struct span none = span_of("");
    int rc = 0;

    for (uint32_t i = 0; lists && rc == 0 && i < lists->replica.count; i++) {
        const struct config_function *f = &lists->replica.list[i];

        rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION_LISTED, span_of(f->schema),
                                        span_of(f->name), none);
    }
    for (uint32_t i = 0; lists && rc == 0 && i < lists->primary.count; i++) {
        const struct config_function *f = &lists->primary.list[i];

        rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION_FORBIDDEN, span_of(f->schema),
                                        span_of(f->name), none);
        for (size_t k = 0; !f->schema && rc == 0 && k < functions->count; k++) {
            if (span_eq_nocase(functions->list[k].name, span_of(f->name))) {
                rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION_FORBIDDEN,
                                                functions->list[k].schema, functions->list[k].name,
                                                none);
            }
        }
        for (uint32_t k = 0; !f->schema && rc == 0 && k < lists->replica.count; k++) {
            const struct config_function *other = &lists->replica.list[k];

            if (span_eq_nocase(span_of(other->name), span_of(f->name))) {
                rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION_FORBIDDEN,
                                                span_of(other->schema), span_of(other->name), none);
            }
        }
    }
    return rc;
}

/* --- what is to be judged ----------------------------------------------------------------------- */

static void function_settle(struct function *f, const char *note)
{
    if (!f->is_settled) {
        f->is_settled = true;
        (void)snprintf(f->note, sizeof(f->note), "%s", note);
    }
}

static int function_add(struct load_functions *functions, struct span schema, struct span name)
{
    struct function *f = NULL;

    if (functions->count == functions->cap) {
        size_t cap = functions->cap ? functions->cap * 2 : 64;
        struct function *list = realloc(functions->list, cap * sizeof(*list));

        if (!list) {
            return -ENOMEM;
        }
        functions->list = list;
        functions->cap = cap;
    }
    f = &functions->list[functions->count++];
    *f = (struct function){.schema = schema, .name = name};
    return 0;
}

/* What a look at the names and sums brings. */
struct survey {
    XXH64_hash_t sum;
    uint64_t bytes;
    bool is_young; /* something was defined within the second, so to speak */
};

static void survey_add(struct survey *survey, const struct db_rows *rows)
{
    for (int column = 0; column < 7; column++) {
        struct span value = db_rows_get(rows, column);

        if (column != 4) { /* the age */
            survey->sum = XXH3_64bits_withSeed(value.p ? value.p : (const uint8_t *)"", value.len,
                                               survey->sum + value.len + 1);
        }
    }
    survey->bytes += number_of(db_rows_get(rows, 3));
    survey->is_young = survey->is_young || number_of(db_rows_get(rows, 4)) < SAME_SECOND_AGE;
}

static int functions_add(struct load_functions *functions, struct catalogue_builder *builder,
                         struct load_report *report, struct survey *survey)
{
    struct db_rows *rows = functions->names;
    int rc = 0;

    while (rc == 0 && db_rows_next(rows)) {
        struct span schema = db_rows_get(rows, 0);
        struct span name = db_rows_get(rows, 1);

        if (!span_eq_text_nocase(db_rows_get(rows, 2), "FUNCTION")) {
            rc = catalogue_builder_add(builder, CATALOGUE_PROCEDURE, schema, name);
            continue;
        }
        survey_add(survey, rows);
        rc = catalogue_builder_add(builder, CATALOGUE_FUNCTION, schema, name);
        if (rc == 0 && functions->count < LOAD_FUNCTIONS_MAX) {
            rc = function_add(functions, schema, name);
        } else {
            report->too_many_functions = true;
        }
        if (rc < 0 || functions->count == 0) {
            continue;
        }
        if (db_rows_get(rows, 3).len == 0) {
            report->hidden_functions++;
            function_settle(&functions->list[functions->count - 1],
                            "its body is hidden from the monitor account");
        } else if (number_of(db_rows_get(rows, 4)) < functions->source.settle_s) {
            function_settle(&functions->list[functions->count - 1],
                            "it was defined a moment ago: replicas may not have it yet");
        }
    }
    return rc;
}

/* MariaDB: app.f may then be the function f of a package app. */
static bool is_package(struct load_functions *functions, struct span schema)
{
    bool is_found = false;

    db_rows_rewind(functions->names);
    while (db_rows_next(functions->names)) {
        struct span type = db_rows_get(functions->names, 2);

        is_found = is_found ||
                   (type.len >= 7 && span_eq_text_nocase((struct span){type.p, 7}, "PACKAGE") &&
                    span_eq_nocase(db_rows_get(functions->names, 1), schema));
    }
    return is_found;
}

/* Both come in the same order; only when something changed between the two queries they differ. */
static void bodies_assign(struct load_functions *functions)
{
    const struct row_list *bodies = &functions->bodies->bodies;
    struct span last = {NULL, 0};
    bool is_last_package = false;
    size_t at = 0;

    for (size_t i = 0; i < functions->count; i++) {
        struct function *f = &functions->list[i];

        if (last.p == NULL || !span_eq(last, f->schema)) {
            last = f->schema;
            is_last_package =
                functions->source.flavour == TOPO_FLAVOUR_MARIADB && is_package(functions, last);
        }
        if (is_last_package) {
            function_settle(f, "a package has the name of its schema");
        }
        for (size_t k = 0; k < bodies->count && !f->row; k++, at++) {
            const struct body_row *row = &bodies->list[at % bodies->count];

            if (span_eq(row->schema, f->schema) && span_eq(row->name, f->name)) {
                f->row = row;
            }
        }
        if (!f->row || f->row->body.len == 0) {
            function_settle(f, "its body could not be read");
        } else if (!f->row->is_sql) {
            function_settle(f, "it is not written in SQL");
        }
    }
}

int load_functions_read(const struct load_source *source, struct catalogue_builder *builder,
                        struct load_report *report, struct load_functions **ret_functions)
{
    struct load_functions *functions = calloc(1, sizeof(*functions));
    struct survey survey = {.sum = 1};
    int rc = 0;

    if (!functions) {
        return -ENOMEM;
    }
    *ret_functions = functions; /* the caller destroys it in any case */
    functions->source = *source;
    functions->bodies = source->bodies ? source->bodies : load_bodies_create();
    functions->owns_bodies = !source->bodies;
    if (!functions->bodies) {
        return -ENOMEM;
    }
    if (db_query(source->db, SUMS_SQL, &functions->names) < 0) {
        return rows_failed(source, "information_schema.ROUTINES", report);
    }
    rc = functions_add(functions, builder, report, &survey);
    if (rc == 0) {
        rc = loadable_read(source, builder, report);
    }
    if (rc == 0) {
        rc = lists_apply(functions, builder);
    }
    if (rc < 0) {
        (void)snprintf(report->error, sizeof(report->error), "catalogue: %s", err_text(rc));
        return rc;
    }
    report->too_many_functions = report->too_many_functions || survey.bytes > LOAD_BODIES_MAX;
    if (report->too_many_functions || report->no_loadable[0] != '\0' || functions->count == 0) {
        for (size_t i = 0; i < functions->count; i++) {
            function_settle(&functions->list[i],
                            report->too_many_functions
                                ? "there are more functions than are judged"
                                : "the names of loadable functions are hidden from the monitor");
        }
        return 0;
    }
    if (functions->bodies->sum != survey.sum) {
        functions->bodies->sum = 0;
        rc = bodies_read(source, functions->bodies, report);
        functions->bodies->sum = rc == 0 && !survey.is_young ? survey.sum : 0;
    }
    if (rc == 0) {
        bodies_assign(functions);
    }
    return rc;
}

/* --- judging ------------------------------------------------------------------------------------- */

static size_t params_of(const struct load_functions *functions, const struct function *f,
                        struct span params[PARAMS_OF_ONE])
{
    const struct row_list *all = &functions->bodies->params;
    size_t count = 0;

    for (size_t i = 0; i < all->count && count < PARAMS_OF_ONE; i++) {
        if (span_eq(all->list[i].schema, f->schema) && span_eq(all->list[i].name, f->name)) {
            params[count++] = all->list[i].body;
        }
    }
    return count;
}

static void function_classify(const struct load_functions *functions, const struct function *f,
                              struct facts *ret_facts)
{
    const struct load_source *source = &functions->source;
    struct classify_env env = {
        .flavour = source->flavour == TOPO_FLAVOUR_MARIADB ? CLASSIFY_MARIADB : CLASSIFY_MYSQL,
        .version = source->version,
        .sql_mode = classify_mode_parse(f->row->sql_mode),
        .charset = classify_charset_parse(f->row->charset),
        .schema = f->schema,
    };
    struct span params[PARAMS_OF_ONE];

    classify_function_body(f->row->body, &env, NULL, 0, ret_facts);
    if (ret_facts->why == WHY_SET || ret_facts->why == WHY_INTO) {
        /* to one of its parameters, perhaps: they are looked for only then */
        classify_function_body(f->row->body, &env, params, params_of(functions, f, params),
                               ret_facts);
    }
}

/* "it changes data: INSERT, line 3" */
static void culprit_note(const struct function *f, const struct facts *facts,
                         char note[CATALOGUE_NOTE_MAX])
{
    struct span culprit = facts->culprit;
    unsigned line = 1;

    if (culprit.len == 0) {
        (void)snprintf(note, CATALOGUE_NOTE_MAX, "%s", classify_why_text(facts->why));
        return;
    }
    for (const uint8_t *p = f->row->body.p; p < culprit.p; p++) {
        line += *p == '\n';
    }
    (void)snprintf(note, CATALOGUE_NOTE_MAX, "%s (%.*s, line %u of its body)",
                   classify_why_text(facts->why), culprit.len < 40 ? (int)culprit.len : 40,
                   (const char *)culprit.p, line);
}

/* Is it harmless as far as the others are known by now? */
static bool function_judge(const struct load_functions *functions, struct function *f,
                           const struct catalogue_builder *builder)
{
    char note[CATALOGUE_NOTE_MAX] = "it uses a name that cannot be compared";
    struct facts facts;

    function_classify(functions, f, &facts);
    if ((facts.bits & (FACT(READ) | FACT(CALLS))) == 0) {
        culprit_note(f, &facts, note);
        function_settle(f, note);
        return false;
    }
    if (load_names_are_harmless(&facts, f->schema, builder, note)) {
        return true;
    }
    memcpy(f->note, note, sizeof(f->note));
    return false;
}

bool load_functions_pass(struct load_functions *functions, struct catalogue_builder *builder)
{
    struct span none = span_of("");
    bool is_turned = false;

    for (size_t i = 0; i < functions->count; i++) {
        struct function *f = &functions->list[i];

        if (f->is_settled || catalogue_builder_get_function(builder, f->schema, f->name, false) !=
                                 CATALOGUE_FUNCTION) {
            continue;
        }
        if (function_judge(functions, f, builder) &&
            catalogue_builder_function(builder, CATALOGUE_FUNCTION_HARMLESS, f->schema, f->name,
                                       none) == 0) {
            is_turned = true;
        }
    }
    return is_turned;
}

int load_functions_finish(struct load_functions *functions, struct catalogue_builder *builder)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < functions->count; i++) {
        const struct function *f = &functions->list[i];

        if (catalogue_builder_get_function(builder, f->schema, f->name, false) ==
            CATALOGUE_FUNCTION) {
            rc = catalogue_builder_function(builder, CATALOGUE_FUNCTION, f->schema, f->name,
                                            span_of(f->note));
        }
    }
    return rc;
}
