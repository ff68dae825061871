/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/util/err.h"
#include "weir/util/fault.h"

#include "errors_priv.h"
#include "load_priv.h"

static int file_order_users(const void *a, const void *b)
{
    const struct config_user *x = a;
    const struct config_user *y = b;

    if (x->name == NULL || y->name == NULL) { /* a mistake already told */
        return (x->name != NULL) - (y->name != NULL);
    }
    return strcmp(x->name, y->name);
}

/* Room for what the file can hold at most; a password file says nothing of its length. */
static size_t file_secret_bytes(const struct yaml_node *root)
{
    const struct yaml_node *users = yaml_get(yaml_get(root, "users"), "list");
    size_t count = users != NULL && users->count <= CONFIG_USERS_MAX ? users->count : 0;

    count += CONFIG_ADMINS_MAX;
    return 16384 + count * (SECRET_TEXT_MAX + 64);
}

static int file_tree(const char *path, const struct yaml_tree *tree, unsigned mode,
                     struct config **ret_config, struct config_errors *errs)
{
    struct config *config = config_create(file_secret_bytes(tree->root));
    struct loader l = {.config = config, .errs = errs, .path = path};

    if (config == NULL) {
        errors_add(errs, NULL, "not enough memory for the configuration");
        return -WR_E_CONFIG;
    }
    config->path = load_text(&l, span_of(path));
    load_root(&l, tree->root);
    check_all(&l, tree->root);
    check_files(&l, tree->root);
    if (l.literal != NULL && (mode & (S_IRWXG | S_IRWXO)) != 0) {
        errors_add(errs, l.literal,
                   "a secret stands in a file that others may read (mode %04o); chmod 600 the "
                   "file, or name a password_file here",
                   mode & 07777);
    }
    if (l.is_out_of_memory) {
        errors_add(errs, NULL, "not enough memory for the configuration");
    }
    if (errs->error_count > 0) {
        config_unref(config);
        return -WR_E_CONFIG;
    }
    if (config->users.list_count > 1) {
        qsort(config->users.list, config->users.list_count, sizeof *config->users.list,
              file_order_users);
    }
    *ret_config = config;
    return 0;
}

static int file_bytes(const char *path, struct span text, unsigned mode, struct config **ret_config,
                      struct config_errors *errs)
{
    struct yaml_tree tree;
    int rc = yaml_tree_read(&tree, text, errs);

    if (rc == 0) {
        rc = file_tree(path, &tree, mode, ret_config, errs);
    }
    yaml_tree_fini(&tree);
    errors_sort(errs);
    return rc;
}

int config_parse(const char *path, const uint8_t *text, size_t len, struct config **ret_config,
                 struct config_errors *errs)
{
    errors_init(errs, path);
    if (len > CONFIG_FILE_MAX) {
        errors_add(errs, NULL, "larger than %d bytes; no configuration needs that",
                   CONFIG_FILE_MAX);
        return -WR_E_CONFIG;
    }
    return file_bytes(path, (struct span){text, len}, 0, ret_config, errs);
}

/* The bytes of fd up to one more than the limit; NULL with a mistake told. */
static uint8_t *file_read(int fd, struct stat *ret_st, size_t *ret_len, struct config_errors *errs)
{
    size_t cap = CONFIG_FILE_MAX + 1;
    uint8_t *bytes = NULL;
    size_t len = 0;

    if (fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode)) {
        errors_add(errs, NULL, "not a regular file");
        return NULL;
    }
    bytes = fault_malloc(cap);
    if (bytes == NULL) {
        errors_add(errs, NULL, "not enough memory to read the file");
        return NULL;
    }
    while (len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            errors_add(errs, NULL, "cannot be read (%s)", err_text(-errno));
            explicit_bzero(bytes, len);
            free(bytes);
            return NULL;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    *ret_len = len;
    return bytes;
}

int config_load(const char *path, struct config **ret_config, struct config_errors *errs)
{
    struct stat st;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int fd = -1;
    int rc = -WR_E_CONFIG;

    errors_init(errs, path);
    /* looked at first: merely opening a device can do something */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        errors_add(errs, NULL, "not a regular file");
        return -WR_E_CONFIG;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        errors_add(errs, NULL, "cannot be opened (%s)", err_text(-errno));
        return -WR_E_CONFIG;
    }
    bytes = file_read(fd, &st, &len, errs);
    (void)close(fd);
    if (bytes == NULL) {
        return -WR_E_CONFIG;
    }
    if (len > CONFIG_FILE_MAX) {
        errors_add(errs, NULL, "larger than %d bytes; no configuration needs that",
                   CONFIG_FILE_MAX);
    } else {
        rc = file_bytes(path, (struct span){bytes, len}, (unsigned)st.st_mode, ret_config, errs);
    }
    explicit_bzero(bytes, len);
    free(bytes);
    return rc;
}
