/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings - what a configuration file comes to: the config, its rules compiled, its certificate.
 *
 * WHY       A worker must never act by the rules of one file and the limits of another, so all of it
 *           is one snapshot.
 * OWNS      A reference on each part; counted itself.
 * THREADS   settings_load() and what changes settings: one thread, before they are published. Then
 *           any, read only.
 * REENTRY   none
 * UNITS     none
 * ERRORS    0 or a negative err code; mistakes of the file in errs, else one line in ret_why.
 * BOUNDS    Those of the file.
 */
#ifndef WEIR_CORE_SETTINGS_PRIV_H
#define WEIR_CORE_SETTINGS_PRIV_H

#include <stdint.h>

#include "weir/util/attr.h"
#include "weir/util/snap.h"

#define SETTINGS_WHY_BYTES 512

struct config;
struct config_errors;
struct log_ctx;
struct metric_registry;
struct rules;
struct tls_ctx;

struct settings {
    struct snap snap; /* the generation is that of the rules, too */
    /* counted */
    struct config *config;
    struct rules *rules;
    struct tls_ctx
        *server_tls; /* NULL: no listener offers TLS, or settings_tls() is still to come */
};

/* Read, check, compile: -WR_E_CONFIG with every mistake in errs. */
WR_NODISCARD int settings_load(const char *path, uint64_t generation, struct config_errors *errs,
                               struct settings **ret_settings);
/* The certificate of the listeners, read from its files (made in tls.dir if none is configured).
 * log may be NULL. */
WR_NODISCARD int settings_tls(struct settings *settings, const struct log_ctx *log,
                              char ret_why[SETTINGS_WHY_BYTES]);
/* Under which labels the rules are counted, and a word if they are slow. */
void settings_labels(struct settings *settings, struct metric_registry *registry,
                     const struct log_ctx *log);
/* Room for limits.max_clients among the process's descriptors. */
WR_NODISCARD int settings_descriptors(const struct config *config, const struct log_ctx *log);

const struct settings *settings_ref(const struct settings *settings);
/* NULL is fine. */
void settings_unref(const struct settings *settings);

#endif
