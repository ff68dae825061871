/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the toxic proxy share: fault.c moves bytes, fault_command.c obeys. */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_LINKS     512
#define MAX_FAULTS    16
#define MAX_QUEUE     64
#define MAX_CONTROLS  8
#define MAX_UPSTREAMS 4
#define PIECE         4096u
#define LINE_MAX_LEN  512u
#define NEVER         UINT64_MAX

#define KINDS(X)                \
    X(LATENCY, "latency")       \
    X(BANDWIDTH, "bandwidth")   \
    X(SLOW_CLOSE, "slow_close") \
    X(TIMEOUT, "timeout")       \
    X(RESET_PEER, "reset_peer") \
    X(SLICER, "slicer")         \
    X(LIMIT_DATA, "limit_data") \
    X(CORRUPT, "corrupt")       \
    X(HALF_CLOSE, "half_close") \
    X(STALL, "stall")

enum kind {
#define X(name, text) KIND_##name,
    KINDS(X)
#undef X
};

#define KEYS(X) X(ms) X(jitter) X(rate) X(size) X(vary) X(us) X(bytes) X(at) X(every) X(xor)

enum key {
#define X(name) KEY_##name,
    KEYS(X)
#undef X
    KEY_COUNT
};

struct fault {
    char name[32]; /* "": free */
    enum kind kind;
    bool is_on[2]; /* up, down */
    uint64_t keys[KEY_COUNT];
    uint64_t since_us;
};

struct piece {
    uint8_t bytes[PIECE];
    size_t len; /* 0: the end */
    size_t sent;
    uint64_t due_us;
};

/* One direction of a link. */
struct way {
    int from;
    int to;
    struct piece *queue; /* MAX_QUEUE, a ring */
    size_t head;
    size_t count;
    uint64_t last_due_us;
    uint64_t seen[MAX_FAULTS]; /* bytes since the fault counts */
    bool is_read_over;         /* the end was read, or made up */
    bool is_over;              /* the end was handed on */
    bool is_stalled;
};

struct link {
    bool is_used;
    bool is_connecting;
    uint64_t begun_us;
    uint64_t passed[2];
    struct way ways[2];
};

struct control {
    int fd; /* -1: free */
    int out;
    size_t len;
    char line[LINE_MAX_LEN];
};

struct proxy {
    struct sockaddr_in listen_addr;
    struct sockaddr_in upstreams[MAX_UPSTREAMS]; /* by turns */
    size_t upstream_count;
    int listener; /* -1: down */
    int control_listener;
    bool is_ended;
    uint32_t random;
    uint64_t accepted;
    uint64_t bytes[2];
    struct fault faults[MAX_FAULTS];
    struct control controls[MAX_CONTROLS];
    struct link links[MAX_LINKS];
};

uint64_t now_us(void);
void link_close(struct link *link, bool with_reset);

bool listen_open(struct proxy *proxy);
void command_down(struct proxy *proxy);
bool control_open(struct proxy *proxy, const char *path);
void control_accept(struct proxy *proxy);
void control_read(struct proxy *proxy, struct control *control);

#endif
