/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration file. Besides crashes and leaks, what must hold:
 *  - a file is either taken, or refused with at least one mistake at a place in it;
 *  - what is taken can be printed, and the print holds no byte that could break a log line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/config/config.h"
#include "weir/util/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_expect(int holds)
{
    if (!holds) {
        abort();
    }
}

static void fuzz_print(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    fuzz_expect(out != NULL);
    config_print(config, out);
    fuzz_expect(fclose(out) == 0);
    for (size_t i = 0; i < len; i++) {
        fuzz_expect(text[i] == '\n' || (unsigned char)text[i] >= ' ');
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errs;
    struct config *config = NULL;
    int rc = 0;

    memset(&errs, 0xee, sizeof errs);
    /* a directory that does not exist: no file named by the input is found */
    rc = config_parse("/nonexistent/weir/fuzz.yaml", data, size, &config, &errs);
    fuzz_expect((rc == 0) == (config != NULL));
    fuzz_expect(rc == 0 || rc == -WR_E_CONFIG);
    fuzz_expect((rc == 0) == (errs.error_count == 0));
    fuzz_expect(errs.count <= CONFIG_ERRORS_MAX);
    for (uint32_t i = 0; i < errs.count; i++) {
        fuzz_expect(errs.item[i].text[0] != '\0');
        fuzz_expect(errs.item[i].line <= size + 1 && errs.item[i].column <= size + 2);
        for (const char *p = errs.item[i].text; *p != '\0'; p++) {
            fuzz_expect(*p >= ' ' && *p <= '~');
        }
    }
    if (rc == 0) {
        fuzz_expect(config->server_count > 0 && config->listener_count > 0);
        fuzz_expect(config->users.source_count > 0 && config->monitor.user != NULL);
        fuzz_print(config);
        config_unref(config);
    }
    return 0;
}
