/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts_tool - the classifier's answer for each statement on standard input.
 *
 * Input lines:  env TAB statement, with \n \t \r \0 \\ and \xHH in the statement. env: words of
 * comma separated flags, see classify_text.h; "-" for the defaults.
 * Output lines: route TAB verb TAB why TAB bits TAB pins TAB tables.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify_text.h"

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len = 0;
    while ((len = getline(&line, &cap, stdin)) >= 0) {
        char *tab = memchr(line, '\t', (size_t)len);
        if (tab == NULL) {
            (void)fprintf(stderr, "facts_tool: a line without a tab\n");
            free(line);
            return 2;
        }
        if (len > 0 && line[len - 1] == '\n') {
            line[--len] = '\0';
        }
        *tab = '\0';
        struct classify_env env;
        struct facts facts;
        char text[4096];
        if (!classify_text_env(line, &env)) {
            (void)fprintf(stderr, "facts_tool: bad env %s\n", line);
            free(line);
            return 2;
        }
        size_t sql_len = classify_text_unescape(tab + 1);
        classify_sql((struct span){(const uint8_t *)tab + 1, sql_len}, &env, &facts);
        classify_text_format(&facts, text, sizeof(text));
        (void)puts(text);
        (void)fflush(stdout);
    }
    free(line);
    return 0;
}
