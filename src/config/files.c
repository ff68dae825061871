/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a configuration names: that they are there, and who may read a private key.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/util/err.h"

#include "errors_priv.h"
#include "load_priv.h"

static void files_check_one(struct loader *l, const struct yaml_node *node, const char *path,
                            bool is_key)
{
    struct stat st;

    if (path == NULL || node == NULL) {
        return;
    }
    if (stat(path, &st) != 0 || access(path, R_OK) != 0) {
        errors_add(l->errs, node, "%.100s cannot be read (%s)", path, err_text(-errno));
    } else if (!S_ISREG(st.st_mode)) {
        errors_add(l->errs, node, "%.100s is not a regular file", path);
    } else if (is_key && (st.st_mode & S_IRWXO) != 0) {
        errors_add(l->errs, node, "others may read the private key %.100s (mode %04o); chmod o= it",
                   path, (unsigned)(st.st_mode & 07777));
    }
}

void check_files(struct loader *l, const struct yaml_node *root)
{
    const struct config *c = l->config;
    const struct yaml_node *tls = yaml_get(root, "tls");
    const struct yaml_node *servers = yaml_get(root, "servers");
    const struct yaml_node *n = servers != NULL ? servers->first : NULL;

    files_check_one(l, yaml_get(tls, "cert"), c->tls.cert, false);
    files_check_one(l, yaml_get(tls, "key"), c->tls.key, true);
    files_check_one(l, yaml_get(tls, "ca"), c->tls.ca, false);
    for (uint32_t i = 0; n != NULL && i < c->server_count; i++, n = n->next) {
        files_check_one(l, yaml_get(n, "tls_ca"), c->servers[i].tls_ca, false);
    }
}
