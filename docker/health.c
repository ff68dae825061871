/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-health HOST PORT PATH: asks weir by HTTP, prints what it says, and ends with 0 when the
 * status is 200, else with 1. For health checks in an image that holds no shell and no curl.
 * HOST is an address, not a name.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_BYTES 4096
#define LIMIT_S      2

static int ask(int fd, const char *path, char *answer)
{
    char request[256];
    size_t have = 0;
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);

    if (len < 0 || (size_t)len >= sizeof(request) ||
        send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        return -1;
    }
    while (have < ANSWER_BYTES - 1) {
        ssize_t got = recv(fd, answer + have, ANSWER_BYTES - 1 - have, 0);

        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
    }
    answer[have] = '\0';
    return 0;
}

int main(int argc, char **argv)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const struct timeval limit = {.tv_sec = LIMIT_S};
    struct addrinfo *to = NULL;
    char answer[ANSWER_BYTES] = "";
    int rc = 1;

    if (argc != 4 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0) {
        (void)fputs("usage: weir-health ADDRESS PORT PATH\n", stderr);
        return 2;
    }

    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* The send limit holds for connect, too. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(fd, to->ai_addr, to->ai_addrlen) != 0 || ask(fd, argv[3], answer) != 0) {
        perror("weir-health");
    } else {
        const char *body = strstr(answer, "\r\n\r\n");

        (void)fputs(body == NULL ? answer : body + 4, stdout);
        rc = strncmp(answer, "HTTP/1.", 7) == 0 && strncmp(answer + 8, " 200 ", 5) == 0 ? 0 : 1;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    freeaddrinfo(to);
    return rc;
}
