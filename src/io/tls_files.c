/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate of a first start. Files are written beside their place and renamed into it, so
 * that a start that was cut short leaves nothing that the next one would believe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/io/tls.h"
#include "weir/util/buf.h"
#include "weir/util/crypto.h"
#include "weir/util/err.h"

#define PATH_BYTES 4096

static int why(char ret_why[TLS_WHY_BYTES], int rc, const char *what, const char *file)
{
    if (ret_why != NULL) {
        (void)snprintf(ret_why, TLS_WHY_BYTES, "%s %s: %s", what, file, err_text(rc));
    }
    return rc;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.p, bytes.len);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? -errno : -EIO;
        }
        bytes.p += done;
        bytes.len -= (size_t)done;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

static int file_put(const char *file, struct span bytes, mode_t mode)
{
    char tmp[PATH_BYTES];
    int len = snprintf(tmp, sizeof(tmp), "%s.%ld.tmp", file, (long)getpid());

    if (len < 0 || (size_t)len >= sizeof(tmp)) {
        return -ENAMETOOLONG;
    }
    (void)unlink(tmp);

    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0) {
        return -errno;
    }

    /* Whatever the process's umask: clients that verify have to read the certificate. */
    int rc = fchmod(fd, mode) == 0 ? write_all(fd, bytes) : -errno;

    (void)close(fd);
    if (rc == 0 && rename(tmp, file) != 0) {
        rc = -errno;
    }
    if (rc < 0) {
        (void)unlink(tmp);
    }
    return rc;
}

int tls_make_files(const char *cert_file, const char *key_file, char ret_why[TLS_WHY_BYTES])
{
    struct buf cert;
    struct buf key;
    struct stat st;

    if (stat(cert_file, &st) == 0) {
        return 0;
    }
    buf_init(&cert);
    buf_init(&key);

    int rc = crypto_cert_create("weir", &cert, &key);

    if (rc < 0) {
        rc = why(ret_why, rc, "certificate", cert_file);
        goto out;
    }
    rc = file_put(key_file, buf_span(&key), 0600);
    if (rc < 0) {
        rc = why(ret_why, rc, "private key", key_file);
        goto out;
    }
    rc = file_put(cert_file, buf_span(&cert), 0644);
    if (rc < 0) {
        rc = why(ret_why, rc, "certificate", cert_file);
        goto out;
    }
    rc = 1;
out:
    buf_fini_secret(&key);
    buf_fini(&cert);
    return rc;
}
