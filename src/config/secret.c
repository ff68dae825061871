/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords on their way into secret memory. Their text never appears in a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/util/err.h"

#include "errors_priv.h"
#include "load_priv.h"

void secret_take_text(struct loader *l, const struct yaml_node *node, const char *name,
                      struct span text, struct config_secret *ret_secret)
{
    uint8_t *copy = NULL;

    if (text.len > SECRET_TEXT_MAX) {
        errors_add(l->errs, node, "%s is %zu bytes long; servers take %d at most", name, text.len,
                   SECRET_TEXT_MAX);
        return;
    }
    copy = secret_alloc(l->config->mem->secrets, text.len > 0 ? text.len : 1);
    if (copy == NULL) {
        l->is_out_of_memory = true;
        return;
    }
    if (text.len > 0) {
        memcpy(copy, text.p, text.len);
    }
    ret_secret->p = copy;
    ret_secret->len = text.len;
}

/* As much of fd as fits; the number of bytes, or -errno. */
static ssize_t secret_read_all(int fd, char *dst, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, dst + len, cap - len);

        if (n == 0) {
            break;
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static void secret_take_fd(struct loader *l, const struct yaml_node *node, const char *name,
                           const char *path, int fd, struct config_secret *ret_secret)
{
    char text[SECRET_TEXT_MAX + 3]; /* a line end, and one to notice that there is more */
    struct stat st;
    ssize_t n = 0;
    size_t len = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        errors_add(l->errs, node, "%s: %.100s is not a regular file", name, path);
        return;
    }
    if ((st.st_mode & S_IRWXO) != 0) {
        /* no mistake: container platforms hand secrets out like this, in a place of their own */
        errors_warn(l->errs, node,
                    "%s: others may read %.100s (mode %04o); chmod o= would stop that", name, path,
                    (unsigned)(st.st_mode & 07777));
    }
    n = secret_read_all(fd, text, sizeof text);
    if (n < 0) {
        errors_add(l->errs, node, "%s: cannot read %.100s (%s)", name, path, err_text((int)n));
        return;
    }
    len = (size_t)n;
    if (len > 0 && text[len - 1] == '\n') {
        len--;
        len -= len > 0 && text[len - 1] == '\r' ? 1 : 0;
    }
    if (memchr(text, '\0', len) != NULL || memchr(text, '\n', len) != NULL) {
        errors_add(l->errs, node, "%s: %.100s must hold one line, the password and nothing else",
                   name, path);
    } else {
        secret_take_text(l, node, name, (struct span){(const uint8_t *)text, len}, ret_secret);
    }
    explicit_bzero(text, sizeof text);
}

void secret_take_file(struct loader *l, const struct yaml_node *node, const char *name,
                      const char *text, struct config_secret *ret_secret)
{
    const char *path = load_path(l, text);
    struct stat st;
    int fd = -1;

    /* looked at first: merely opening a device can do something */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        errors_add(l->errs, node, "%s: %.100s is not a regular file", name, path);
        return;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        errors_add(l->errs, node, "%s: cannot open %.100s (%s)", name, path, err_text(-errno));
        return;
    }
    secret_take_fd(l, node, name, path, fd, ret_secret);
    (void)close(fd);
}

void secret_take_env(struct loader *l, const struct yaml_node *node, const char *name,
                     const char *text, struct config_secret *ret_secret)
{
    /* nothing here ever calls setenv */
    const char *value = getenv(text); /* NOLINT(concurrency-mt-unsafe) */

    if (value == NULL) {
        errors_add(l->errs, node, "%s: the environment has no %.60s; set it, or take another way",
                   name, text);
        return;
    }
    secret_take_text(l, node, name, span_of(value), ret_secret);
}
