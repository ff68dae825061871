/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - many clients, one thread: the same point select over and over, replies checked for form.
 *
 *   load PORT USER PASSWORD_ENV DB CLIENTS SECONDS text|prepared eof|noeof [SQL...]
 *
 * SECONDS may be a number of statements, as in 5000q: no more are begun, whole turns are ended.
 * Several SQL (text only) are sent in turn, each when the one before has been answered; a "#" in
 * them becomes the client's number. Their p50 and p99 are those of a single statement.
 * "noeof" negotiates DEPRECATE_EOF (the terminal packet is an OK), "eof" does not, as many drivers.
 * Prints one line: queries, errors, seconds, microseconds of p50 and p99. A generator this thin
 * leaves the processor to what is measured. Plain TCP on 127.0.0.1; mysql_native_password, or
 * caching_sha2_password where a verifier is already known.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "weir/protocol/auth_native.h"
#include "weir/protocol/auth_sha2.h"
#include "weir/protocol/caps.h"
#include "weir/protocol/command.h"
#include "weir/protocol/frame.h"
#include "weir/protocol/greet.h"
#include "weir/protocol/login.h"

#define PACKET_MAX  65536
#define SAMPLES_MAX 4000000

enum phase {
    PH_FIRST,
    PH_DEFS,
    PH_DEFS_EOF,
    PH_ROWS
};

struct client {
    int fd;
    enum phase phase;
    uint32_t defs_left;
    size_t have;
    uint64_t sent_us;
    int number;
    int turn;
    uint8_t request[512];
    size_t request_len;
    uint8_t bytes[PACKET_MAX];
};

static uint64_t now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000U + (uint64_t)ts.tv_nsec / 1000U;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_full(int fd, uint8_t *dst, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, dst, len);

        if (n <= 0) {
            die("read");
        }
        dst += n;
        len -= (size_t)n;
    }
}

static struct span read_packet(int fd, uint8_t *dst, uint8_t *ret_seq)
{
    struct frame frame;
    uint8_t header[FRAME_HEADER];

    read_full(fd, header, FRAME_HEADER);
    (void)frame_decode(header, FRAME_HEADER, &frame);
    if (frame.len > PACKET_MAX) {
        errno = EMSGSIZE;
        die("packet");
    }
    read_full(fd, dst, frame.len);
    *ret_seq = frame.seq;
    return (struct span){dst, frame.len};
}

static void write_packet(int fd, struct span payload, uint8_t seq)
{
    uint8_t bytes[PACKET_MAX];
    struct wire_out out;

    wire_out_array(&out, bytes, sizeof(bytes));
    frame_packet_encode(&out, &seq, payload);
    if (write(fd, bytes, out.len) != (ssize_t)out.len) {
        die("write");
    }
}

static size_t prove(struct span plugin, struct span password, const uint8_t *scramble,
                    uint8_t *proof)
{
    uint8_t stage1[AUTH_NATIVE_LEN];

    if (span_eq_text(plugin, "caching_sha2_password")) {
        auth_sha2_reply(password, scramble, proof);
        return AUTH_SHA2_LEN;
    }
    auth_native_stage1(password, stage1);
    auth_native_reply(stage1, scramble, proof);
    return AUTH_NATIVE_LEN;
}

static void log_in(int fd, const char *user, const char *password, const char *db, bool has_eof)
{
    uint8_t bytes[PACKET_MAX];
    uint8_t proof[64];
    uint8_t seq = 0;
    struct span packet = read_packet(fd, bytes, &seq);
    struct greet greet;
    struct wire_out out;
    uint8_t answer[1024];
    struct login login = {.max_packet = 1U << 24, .collation = 45, .has_plugin = true};

    if (greet_decode(packet, &greet) != DEC_OK) {
        die("greeting");
    }
    login.caps = CAP_LONG_PASSWORD | CAP_LONG_FLAG | CAP_PROTOCOL_41 | CAP_TRANSACTIONS |
                 CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_CONNECT_WITH_DB | CAP_MULTI_RESULTS |
                 (has_eof ? 0 : CAP_DEPRECATE_EOF);
    login.user = span_of(user);
    login.db = span_of(db);
    login.plugin = greet.plugin;
    login.auth =
        (struct span){proof, prove(greet.plugin, span_of(password), greet.scramble, proof)};
    wire_out_array(&out, answer, sizeof(answer));
    login_encode(&out, &login);
    write_packet(fd, (struct span){answer, out.len}, (uint8_t)(seq + 1));
    for (;;) {
        packet = read_packet(fd, bytes, &seq);
        if (packet.len > 0 && packet.p[0] == 0x00) {
            return;
        }
        if (packet.len > 1 && packet.p[0] == 0xFE) {
            const uint8_t *end = memchr(packet.p + 1, 0, packet.len - 1);

            if (end != NULL && (size_t)(packet.p + packet.len - end) > 20) {
                struct span plugin = {packet.p + 1, (size_t)(end - packet.p - 1)};
                size_t len = prove(plugin, span_of(password), end + 1, proof);

                write_packet(fd, (struct span){proof, len}, (uint8_t)(seq + 1));
                continue;
            }
        }
        if (packet.len == 2 && packet.p[0] == 0x01 && packet.p[1] == 0x03) {
            continue; /* the fast way was enough */
        }
        errno = EACCES;
        die("login");
    }
}

static void set_request(struct client *client, uint8_t com, struct span body)
{
    struct wire_out out;

    frame_encode(client->request, (uint32_t)body.len + 1, 0);
    wire_out_array(&out, client->request + FRAME_HEADER, sizeof(client->request) - FRAME_HEADER);
    command_encode(&out, com, body);
    client->request_len = FRAME_HEADER + out.len;
}

/* The next of the statements, with the client's number in it. */
static void set_turn(struct client *client, char **sql, int count)
{
    char text[400];
    char number[16];
    size_t digits = (size_t)snprintf(number, sizeof(number), "%d", client->number);
    size_t len = 0;

    for (const char *p = sql[client->turn]; *p != 0 && len + sizeof(number) < sizeof(text); p++) {
        if (*p == '#') {
            memcpy(text + len, number, digits);
            len += digits;
        } else {
            text[len++] = *p;
        }
    }
    client->turn = (client->turn + 1) % count;
    set_request(client, COM_QUERY, (struct span){(const uint8_t *)text, len});
}

static void prepare(struct client *client, const char *sql)
{
    uint8_t body[10] = {0, 0, 0, 0, 0, 1, 0, 0, 0};
    uint8_t seq = 0;
    struct span packet;
    uint32_t packets = 0;
    bool has_eof = client->phase == PH_DEFS_EOF;

    set_request(client, COM_STMT_PREPARE, span_of(sql));
    if (write(client->fd, client->request, client->request_len) != (ssize_t)client->request_len) {
        die("write");
    }
    packet = read_packet(client->fd, client->bytes, &seq);
    if (packet.len < 12 || packet.p[0] != 0) {
        die("prepare");
    }
    memcpy(body, packet.p + 1, 4);
    packets = (uint32_t)(packet.p[5] | packet.p[6] << 8);
    packets += packets != 0 && has_eof ? 1 : 0;
    for (uint32_t i = 0; i < packets; i++) {
        (void)read_packet(client->fd, client->bytes, &seq);
    }
    set_request(client, COM_STMT_EXECUTE, (struct span){body, 9});
}

/* One packet of a reply. 1: the reply is over, 2: over with an error. */
static int take_packet(struct client *client, const uint8_t *payload, uint32_t len, bool has_eof)
{
    bool is_end = len > 0 && payload[0] == 0xFE && len < 0xFFFFFF;

    if (len > 0 && payload[0] == 0xFF && client->phase != PH_DEFS) {
        return 2;
    }
    switch (client->phase) {
    case PH_FIRST:
        if (payload[0] == 0x00) {
            return 1;
        }
        client->defs_left = payload[0];
        client->phase = PH_DEFS;
        return 0;
    case PH_DEFS:
        if (--client->defs_left == 0) {
            client->phase = has_eof ? PH_DEFS_EOF : PH_ROWS;
        }
        return 0;
    case PH_DEFS_EOF:
        client->phase = PH_ROWS;
        return 0;
    case PH_ROWS:
        return is_end ? 1 : 0;
    }
    return 2;
}

static void send_request(struct client *client)
{
    client->phase = PH_FIRST;
    client->sent_us = now_us();
    if (write(client->fd, client->request, client->request_len) != (ssize_t)client->request_len) {
        die("write");
    }
}

static int read_reply(struct client *client, bool has_eof)
{
    ssize_t n = read(client->fd, client->bytes + client->have, PACKET_MAX - client->have);
    size_t at = 0;
    int over = 0;

    if (n <= 0) {
        die("connection lost");
    }
    client->have += (size_t)n;
    while (over == 0 && client->have - at >= FRAME_HEADER) {
        struct frame frame;

        (void)frame_decode(client->bytes + at, client->have - at, &frame);
        if (client->have - at < FRAME_HEADER + frame.len) {
            break;
        }
        over = take_packet(client, client->bytes + at + FRAME_HEADER, frame.len, has_eof);
        at += FRAME_HEADER + frame.len;
    }
    memmove(client->bytes, client->bytes + at, client->have - at);
    client->have -= at;
    return over;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static struct client *open_clients(int count, char **argv, bool is_prepared, bool has_eof,
                                   const char *sql, int epoll)
{
    struct client *clients = calloc((size_t)count, sizeof(*clients));
    const char *password = getenv(argv[3]);
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int one = 1;

    if (clients == NULL || password == NULL) {
        die("no memory, or no password in the environment");
    }
    addr.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &clients[i]}};

        clients[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (clients[i].fd < 0 ||
            connect(clients[i].fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
            die("connect");
        }
        (void)setsockopt(clients[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        log_in(clients[i].fd, argv[2], password, argv[4], has_eof);
        clients[i].number = i + 1;
        clients[i].phase = has_eof ? PH_DEFS_EOF : PH_FIRST;
        if (is_prepared) {
            prepare(&clients[i], sql);
        } else {
            set_request(&clients[i], COM_QUERY, span_of(sql));
        }
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) < 0) {
            die("epoll");
        }
    }
    return clients;
}

int main(int argc, char **argv)
{
    const char *sql = argc > 9 ? argv[9] : "SELECT c FROM sbtest1 WHERE id=5000";
    bool is_prepared = argc > 7 && strcmp(argv[7], "prepared") == 0;
    bool has_eof = argc > 8 && strcmp(argv[8], "eof") == 0;
    int count = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
    char *unit = NULL;
    double seconds = argc > 6 ? strtod(argv[6], &unit) : 0;
    uint64_t most = UINT64_MAX; /* statements to send */
    uint64_t sent = 0;
    uint32_t *samples = NULL;
    uint64_t queries = 0;
    uint64_t errors = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = NULL;

    if (argc < 9 || count < 1 || seconds <= 0 || epoll < 0) {
        (void)fprintf(stderr, "usage: load PORT USER PASSWORD_ENV DB CLIENTS SECONDS "
                              "text|prepared eof|noeof [SQL...]\n");
        return 2;
    }
    samples = malloc(SAMPLES_MAX * sizeof(*samples));
    if (samples == NULL) {
        die("no memory");
    }
    if (unit != NULL && *unit == 'q') {
        most = (uint64_t)seconds;
        seconds = 3600;
    }
    clients = open_clients(count, argv, is_prepared, has_eof, sql, epoll);
    start = now_us();
    end = start + (uint64_t)(seconds * 1e6);
    for (; sent < (uint64_t)count && sent < most; sent++) {
        if (argc > 10) {
            set_turn(&clients[sent], argv + 9, argc - 9);
        }
        send_request(&clients[sent]);
    }
    while (queries < sent && now_us() < end) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 1000);

        for (int i = 0; i < n; i++) {
            struct client *client = events[i].data.ptr;
            int over = read_reply(client, has_eof);

            if (over != 0) {
                errors += over == 2;
                if (queries < SAMPLES_MAX) {
                    samples[queries] = (uint32_t)(now_us() - client->sent_us);
                }
                queries++;
                if (sent >= most && client->turn == 0) {
                    continue;
                }
                sent++;
                if (argc > 10) {
                    set_turn(client, argv + 9, argc - 9);
                }
                send_request(client);
            }
        }
    }
    end = now_us();
    qsort(samples, queries < SAMPLES_MAX ? queries : SAMPLES_MAX, sizeof(*samples), by_value);
    (void)printf("queries=%llu errors=%llu seconds=%.3f p50=%u p99=%u\n",
                 (unsigned long long)queries, (unsigned long long)errors,
                 (double)(end - start) / 1e6, queries != 0 ? samples[queries / 2] : 0,
                 queries != 0 ? samples[queries * 99 / 100] : 0);
    free(samples);
    free(clients);
    return errors != 0;
}
