/* SPDX-License-Identifier: Apache-2.0 */
/* The toxic proxy's commands; fault.c says what they are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.h"

static const char *const kind_names[] = {
#define X(name, text) text,
    KINDS(X)
#undef X
};

static const char *const key_names[] = {
#define X(name) #name,
    KEYS(X)
#undef X
};

bool listen_open(struct proxy *proxy)
{
    int one = 1;
    socklen_t len = sizeof proxy->listen_addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&proxy->listen_addr, sizeof proxy->listen_addr) < 0 ||
        listen(fd, 128) < 0 || getsockname(fd, (struct sockaddr *)&proxy->listen_addr, &len) < 0) {
        (void)close(fd);
        return false;
    }
    proxy->listener = fd;
    return true;
}

static struct fault *fault_find(struct proxy *proxy, const char *name)
{
    for (size_t i = 0; i < MAX_FAULTS; i++) {
        if (strcmp(proxy->faults[i].name, name) == 0) {
            return &proxy->faults[i];
        }
    }
    return NULL;
}

static bool key_parse(const char *word, uint64_t keys[KEY_COUNT])
{
    for (size_t k = 0; k < KEY_COUNT; k++) {
        size_t len = strlen(key_names[k]);
        if (strncmp(word, key_names[k], len) == 0 && word[len] == '=') {
            char *end = NULL;
            keys[k] = strtoull(word + len + 1, &end, 10);
            return end != word + len + 1 && *end == '\0';
        }
    }
    return false;
}

static const char *command_add(struct proxy *proxy, char *rest)
{
    struct fault fault = {.since_us = now_us()};
    char *save = NULL;
    const char *name = strtok_r(rest, " ", &save);
    const char *kind = strtok_r(NULL, " ", &save);
    const char *direction = strtok_r(NULL, " ", &save);
    size_t k = 0;
    if (direction == NULL || strlen(name) >= sizeof fault.name) {
        return "add NAME KIND up|down|both [KEY=NUMBER ...]";
    }
    while (k < sizeof kind_names / sizeof kind_names[0] && strcmp(kind_names[k], kind) != 0) {
        k++;
    }
    if (k == sizeof kind_names / sizeof kind_names[0]) {
        return "no such kind";
    }
    fault.kind = (enum kind)k;
    memcpy(fault.name, name, strlen(name));
    fault.is_on[0] = strcmp(direction, "down") != 0;
    fault.is_on[1] = strcmp(direction, "up") != 0;
    if (fault.is_on[0] && fault.is_on[1] && strcmp(direction, "both") != 0) {
        return "up, down or both";
    }
    fault.keys[KEY_size] = 1;
    fault.keys[KEY_xor] = 255;
    for (const char *word = strtok_r(NULL, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (!key_parse(word, fault.keys)) {
            return "no such key";
        }
    }
    struct fault *slot = fault_find(proxy, name);
    slot = slot != NULL ? slot : fault_find(proxy, "");
    if (slot == NULL) {
        return "too many faults";
    }
    *slot = fault;
    for (size_t i = 0; i < MAX_LINKS; i++) {
        proxy->links[i].ways[0].seen[slot - proxy->faults] = 0;
        proxy->links[i].ways[1].seen[slot - proxy->faults] = 0;
    }
    return NULL;
}

static void command_reset(struct proxy *proxy)
{
    memset(proxy->faults, 0, sizeof proxy->faults);
    for (size_t i = 0; i < MAX_LINKS; i++) {
        proxy->links[i].ways[0].is_stalled = false;
        proxy->links[i].ways[1].is_stalled = false;
    }
}

void command_down(struct proxy *proxy)
{
    if (proxy->listener >= 0) {
        (void)close(proxy->listener);
        proxy->listener = -1;
    }
    for (size_t i = 0; i < MAX_LINKS; i++) {
        if (proxy->links[i].is_used) {
            link_close(&proxy->links[i], true);
        }
    }
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n <= 0) {
            return;
        }
        text += n;
        len -= (size_t)n;
    }
}

static void command_list(const struct proxy *proxy, int out)
{
    for (size_t i = 0; i < MAX_FAULTS; i++) {
        const struct fault *fault = &proxy->faults[i];
        char line[128];
        if (fault->name[0] == '\0') {
            continue;
        }
        (void)snprintf(line, sizeof line, "%s %s %s\n", fault->name, kind_names[fault->kind],
                       !fault->is_on[0] ? "down" : (fault->is_on[1] ? "both" : "up"));
        say(out, line);
    }
}

static void command_run(struct proxy *proxy, char *line, int out)
{
    const char *problem = NULL;
    char answer[160] = "ok\n";
    if (strncmp(line, "add ", 4) == 0) {
        problem = command_add(proxy, line + 4);
    } else if (strncmp(line, "del ", 4) == 0) {
        struct fault *fault = line[4] != '\0' ? fault_find(proxy, line + 4) : NULL;
        problem = fault != NULL ? NULL : "no such fault";
        if (fault != NULL) {
            bool is_stall = fault->kind == KIND_STALL;
            *fault = (struct fault){0};
            for (size_t i = 0; i < MAX_LINKS && is_stall; i++) {
                proxy->links[i].ways[0].is_stalled = false;
                proxy->links[i].ways[1].is_stalled = false;
            }
        }
    } else if (strcmp(line, "reset") == 0) {
        command_reset(proxy);
    } else if (strcmp(line, "list") == 0) {
        command_list(proxy, out);
    } else if (strcmp(line, "stats") == 0) {
        size_t links = 0;
        for (size_t i = 0; i < MAX_LINKS; i++) {
            links += proxy->links[i].is_used;
        }
        (void)snprintf(answer, sizeof answer,
                       "ok links=%zu accepted=%" PRIu64 " up=%" PRIu64 " down=%" PRIu64 "\n", links,
                       proxy->accepted, proxy->bytes[0], proxy->bytes[1]);
    } else if (strcmp(line, "down") == 0) {
        command_down(proxy);
    } else if (strcmp(line, "up") == 0) {
        problem = proxy->listener >= 0 || listen_open(proxy) ? NULL : "cannot listen";
    } else if (strcmp(line, "quit") == 0) {
        proxy->is_ended = true;
    } else {
        problem = "no such command";
    }
    if (problem != NULL) {
        (void)snprintf(answer, sizeof answer, "err %s\n", problem);
    }
    say(out, answer);
}

void control_read(struct proxy *proxy, struct control *control)
{
    ssize_t n =
        read(control->fd, control->line + control->len, sizeof control->line - control->len - 1);
    if (n <= 0) {
        /* The end of standard input ends the program: a test that died leaves nothing behind. */
        proxy->is_ended = proxy->is_ended || control->fd == STDIN_FILENO;
        if (control->fd != STDIN_FILENO) {
            (void)close(control->fd);
        }
        control->fd = -1;
        return;
    }
    control->len += (size_t)n;
    control->line[control->len] = '\0';
    for (char *end = NULL; (end = strchr(control->line, '\n')) != NULL;) {
        *end = '\0';
        command_run(proxy, control->line, control->out);
        size_t used = (size_t)(end + 1 - control->line);
        memmove(control->line, end + 1, control->len - used + 1);
        control->len -= used;
    }
    if (control->len == sizeof control->line - 1) {
        control->len = 0;
        say(control->out, "err line too long\n");
    }
}

void control_accept(struct proxy *proxy)
{
    int fd = accept(proxy->control_listener, NULL, NULL);
    for (size_t i = 0; i < MAX_CONTROLS && fd >= 0; i++) {
        if (proxy->controls[i].fd < 0) {
            proxy->controls[i] = (struct control){.fd = fd, .out = fd};
            return;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

bool control_open(struct proxy *proxy, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path) {
        return false;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    proxy->control_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return proxy->control_listener >= 0 &&
           bind(proxy->control_listener, (const struct sockaddr *)&addr, sizeof addr) == 0 &&
           listen(proxy->control_listener, 8) == 0;
}
