/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/err.h"

#include <stdio.h>
#include <string.h>

#define ERR_TEXT_SIZE 96

static const char *const err_texts[] = {
#define X(name, text) text,
    WR_ERRORS(X)
#undef X
};

const char *err_text(int err)
{
    /* A thread's own: strerror_r may or may not use it. */
    static _Thread_local char text[ERR_TEXT_SIZE];

    if (err >= 0) {
        return "no error";
    }
    if (err <= -WR_E_BASE) {
        if (err <= -(int)WR_E_END_) {
            return "unknown error";
        }
        return err_texts[-err - WR_E_BASE];
    }
    return strerror_r(-err, text, sizeof(text));
}
