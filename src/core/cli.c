/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Unknown words are refused: a mistyped option must not start a server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/core/run.h"
#include "weir/monitor/monitor.h"
#include "weir/util/err.h"

#include "settings_priv.h"

static const char USAGE[] =
    "usage: weir --config FILE\n"
    "       weir check [--servers] FILE\n"
    "       weir diff OLD NEW\n"
    "       weir explain [--config FILE] [--schema NAME] [--user NAME] [--client ADDRESS]\n"
    "                    [--flavour mysql|mariadb] \"SQL\"\n"
    "       weir verify --config FILE --user NAME [--password-file FILE] [--address ADDRESS]\n"
    "                   [--seconds N] [--clients N] [--rate N] [--seed N] [--tls off|required]\n"
    "       weir --version | --help\n"
    "\n"
    "  --config FILE   serve, as FILE says; SIGHUP reads it again, SIGTERM drains and\n"
    "                  ends the process\n"
    "  check           read FILE and say what is wrong with it; with --servers: ask the\n"
    "                  servers, too (can they be reached, are the grants enough)\n"
    "  diff            what a weir that runs by OLD would make of NEW when it reads it again;\n"
    "                  exit status 1 when something in it needs a restart\n"
    "  explain         where a statement goes, and why, when every server is well and every\n"
    "                  table that it names is a base table; no server is asked\n"
    "  verify          write and read through the weir that runs by FILE, in a schema\n"
    "                  weir_verify_... that is dropped in the end, and say whether what FILE\n"
    "                  promises was kept; exit status 1 when not. The password is in\n"
    "                  --password-file or in the environment as WEIR_VERIFY_PASSWORD\n";

static int usage(FILE *out, const char *why, const char *what)
{
    if (why != NULL) {
        (void)fprintf(out, "weir: %s%s%s\n", why, what == NULL ? "" : " ",
                      what == NULL ? "" : what);
    }
    (void)fputs(USAGE, out);
    return why == NULL ? RUN_OK : RUN_USAGE;
}

int run_check(const char *config_path, bool with_servers)
{
    struct config_errors errs = {0};
    struct settings *settings = NULL;
    int rc = settings_load(config_path, 1, &errs, &settings);

    config_print_errors(&errs, stdout);
    if (rc < 0) {
        return RUN_USAGE;
    }
    if (with_servers) {
        rc = monitor_library_init();
        if (rc == 0) {
            rc = monitor_check(settings->config, stdout);
            monitor_library_fini();
        }
        if (rc < 0) {
            (void)printf("%s: the servers could not be checked: %s\n", config_path, err_text(rc));
        }
    }
    if (rc == 0) {
        (void)printf("%s: fine%s\n", config_path, errs.count > 0 ? ", with warnings" : "");
    }
    settings_unref(settings);
    return rc == 0 ? RUN_OK : RUN_FAILED;
}

struct diffing {
    FILE *out;
    unsigned restarts;
};

static void on_change(void *arg, const struct config_change *change)
{
    struct diffing *diffing = arg;
    const char *restart = change->needs_restart ? " (needs a restart)" : "";

    diffing->restarts += change->needs_restart ? 1 : 0;
    if (change->old_text == NULL) {
        (void)fprintf(diffing->out, "%s: new%s\n", change->what, restart);
    } else if (change->new_text == NULL) {
        (void)fprintf(diffing->out, "%s: removed%s\n", change->what, restart);
    } else {
        (void)fprintf(diffing->out, "%s: %s -> %s%s\n", change->what, change->old_text,
                      change->new_text, restart);
    }
}

static struct settings *diff_load(const char *path)
{
    struct config_errors errs = {0};
    struct settings *settings = NULL;

    if (settings_load(path, 1, &errs, &settings) < 0) {
        settings = NULL;
    }
    config_print_errors(&errs, stderr);
    return settings;
}

int run_diff(const char *old_path, const char *new_path, FILE *out)
{
    struct settings *before = diff_load(old_path);
    struct settings *after = diff_load(new_path);
    struct diffing diffing = {.out = out};
    int rc = RUN_USAGE;

    if (before != NULL && after != NULL) {
        int count = config_diff(before->config, after->config, on_change, &diffing);

        (void)fprintf(out, "%d changes, %u of them need a restart\n", count < 0 ? 0 : count,
                      diffing.restarts);
        rc = count < 0 || diffing.restarts > 0 ? RUN_FAILED : RUN_OK;
    }
    settings_unref(before);
    settings_unref(after);
    return rc;
}

/* The value behind an option, or NULL when there is none. */
static const char *value_of(int argc, char **argv, int *at)
{
    if (*at + 1 >= argc) {
        return NULL;
    }
    (*at)++;
    return argv[*at];
}

static int check_main(int argc, char **argv)
{
    const char *file = NULL;
    bool with_servers = false;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--servers") == 0) {
            with_servers = true;
        } else if (argv[i][0] == '-' || file != NULL) {
            return usage(stderr, "check: not understood:", argv[i]);
        } else {
            file = argv[i];
        }
    }
    if (file == NULL) {
        return usage(stderr, "check: which FILE?", NULL);
    }
    return run_check(file, with_servers);
}

static int explain_main(int argc, char **argv)
{
    struct run_explain_args args = {0};

    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        const char *value = NULL;

        if (strncmp(word, "--", 2) != 0 || strchr(word, ' ') != NULL) {
            if (args.sql != NULL) {
                return usage(stderr, "explain: one statement, quoted; not understood:", word);
            }
            args.sql = word;
            continue;
        }
        value = value_of(argc, argv, &i);
        if (value == NULL) {
            return usage(stderr, "explain: not understood:", word);
        }
        if (strcmp(word, "--config") == 0) {
            args.config_path = value;
        } else if (strcmp(word, "--schema") == 0) {
            args.schema = value;
        } else if (strcmp(word, "--user") == 0) {
            args.user = value;
        } else if (strcmp(word, "--client") == 0) {
            args.client = value;
        } else if (strcmp(word, "--flavour") == 0 && strcmp(value, "mysql") == 0) {
            args.is_mariadb = false;
        } else if (strcmp(word, "--flavour") == 0 && strcmp(value, "mariadb") == 0) {
            args.is_mariadb = true;
        } else {
            return usage(stderr, "explain: not understood:", word);
        }
    }
    if (args.sql == NULL) {
        return usage(stderr, "explain: which statement?", NULL);
    }
    return run_explain(&args, stdout);
}

/* A whole number from 1 to max. */
static bool number_of(const char *text, uint32_t max, uint32_t *ret_number)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number == 0 || number > max) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool verify_option(struct run_verify_args *args, const char *word, const char *value)
{
    if (strcmp(word, "--config") == 0) {
        args->config_path = value;
    } else if (strcmp(word, "--user") == 0) {
        args->user = value;
    } else if (strcmp(word, "--password-file") == 0) {
        args->password_path = value;
    } else if (strcmp(word, "--address") == 0) {
        args->address = value;
    } else if (strcmp(word, "--seconds") == 0) {
        return number_of(value, RUN_VERIFY_SECONDS_MAX, &args->seconds);
    } else if (strcmp(word, "--clients") == 0) {
        return number_of(value, RUN_VERIFY_CLIENTS_MAX, &args->clients);
    } else if (strcmp(word, "--rate") == 0) {
        return number_of(value, RUN_VERIFY_RATE_MAX, &args->rate);
    } else if (strcmp(word, "--seed") == 0) {
        return number_of(value, UINT32_MAX, &args->seed);
    } else if (strcmp(word, "--tls") == 0 && strcmp(value, "off") == 0) {
        args->tls = RUN_VERIFY_TLS_OFF;
    } else if (strcmp(word, "--tls") == 0 && strcmp(value, "required") == 0) {
        args->tls = RUN_VERIFY_TLS_REQUIRED;
    } else {
        return false;
    }
    return true;
}

static int verify_main(int argc, char **argv)
{
    struct run_verify_args args = {.seconds = 30, .clients = 8, .rate = 200};

    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        const char *value = value_of(argc, argv, &i);

        if (value == NULL || !verify_option(&args, word, value)) {
            return usage(stderr, "verify: not understood:", word);
        }
    }
    if (args.config_path == NULL || args.user == NULL) {
        return usage(stderr, "verify: by which --config FILE, and as which --user NAME?", NULL);
    }
    return run_verify(&args, stdout);
}

int run_main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr, "what shall it be?", NULL);
    }
    if (strcmp(argv[1], "--version") == 0 && argc == 2) {
        (void)printf("weir %s\n", WEIR_VERSION);
        return RUN_OK;
    }
    if (strcmp(argv[1], "--help") == 0 && argc == 2) {
        return usage(stdout, NULL, NULL);
    }
    if (strcmp(argv[1], "--config") == 0 && argc == 3) {
        return run_serve(argv[2]);
    }
    if (strcmp(argv[1], "check") == 0) {
        return check_main(argc, argv);
    }
    if (strcmp(argv[1], "diff") == 0) {
        if (argc != 4 || argv[2][0] == '-' || argv[3][0] == '-') {
            return usage(stderr, "diff: which two files? OLD and NEW", NULL);
        }
        return run_diff(argv[2], argv[3], stdout);
    }
    if (strcmp(argv[1], "explain") == 0) {
        return explain_main(argc, argv);
    }
    if (strcmp(argv[1], "verify") == 0) {
        return verify_main(argc, argv);
    }
    return usage(stderr, "not understood:", argv[1]);
}
