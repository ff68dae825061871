/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/io/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "weir/util/err.h"
#include "weir/util/list.h"

#define QUESTIONS_MAX 64

struct question {
    struct list_node link;
    struct mailbox *box; /* counted */
    struct resolve_mail *answer;
    uint16_t port;
};

struct resolver {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list questions;
    size_t count;
    bool is_stopping;
};

static int resolve_unix(const char *path, struct resolve_list *ret_list)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len >= sizeof(addr.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(addr.sun_path, path, len + 1);
    memset(ret_list, 0, sizeof(*ret_list));
    ret_list->count = 1;
    memcpy(&ret_list->addrs[0].addr, &addr, sizeof(addr));
    ret_list->addrs[0].len = (socklen_t)sizeof(addr);
    return 0;
}

int resolve_now(const char *host, uint16_t port, struct resolve_list *ret_list)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];

    if (host[0] == '/') {
        return resolve_unix(host, ret_list);
    }
    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);

    int rc = getaddrinfo(host, service, &hints, &found);

    if (rc != 0) {
        return rc == EAI_MEMORY ? -ENOMEM : -WR_E_NOT_FOUND;
    }
    memset(ret_list, 0, sizeof(*ret_list));
    for (const struct addrinfo *ai = found; ai != NULL && ret_list->count < RESOLVE_MAX_ADDRS;
         ai = ai->ai_next) {
        struct resolve_addr *addr = &ret_list->addrs[ret_list->count];

        if (ai->ai_addrlen <= sizeof(addr->addr)) {
            memcpy(&addr->addr, ai->ai_addr, ai->ai_addrlen);
            addr->len = ai->ai_addrlen;
            ret_list->count++;
        }
    }
    freeaddrinfo(found);
    return ret_list->count > 0 ? 0 : -WR_E_NOT_FOUND;
}

void resolve_format(const struct sockaddr *addr, socklen_t len, char *dst, size_t cap)
{
    char text[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_storage copy = {0};

    memcpy(&copy, addr, len < sizeof(copy) ? len : sizeof(copy));
    if (copy.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&copy;

        (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        (void)snprintf(dst, cap, "%s:%u", text, (unsigned)ntohs(in->sin_port));
    } else if (copy.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&copy;

        (void)inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        (void)snprintf(dst, cap, "[%s]:%u", text, (unsigned)ntohs(in6->sin6_port));
    } else if (copy.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&copy;

        /* copy is longer than sockaddr_un and was zeroed: the path ends somewhere. */
        (void)snprintf(dst, cap, "%s", un->sun_path[0] == '\0' ? "unix" : un->sun_path);
    } else {
        (void)snprintf(dst, cap, "?");
    }
}

static void answer_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct resolve_mail, mail));
}

static void question_free(struct question *question)
{
    if (question->answer != NULL) {
        answer_free(&question->answer->mail);
    }
    mailbox_unref(question->box);
    free(question);
}

static struct question *next_question(struct resolver *resolver)
{
    struct list_node *node = NULL;

    (void)pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_stopping && (node = list_pop(&resolver->questions)) == NULL) {
        (void)pthread_cond_wait(&resolver->wake, &resolver->lock);
    }
    if (node != NULL) {
        resolver->count--;
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return node == NULL ? NULL : list_entry(node, struct question, link);
}

static void *resolver_main(void *arg)
{
    struct resolver *resolver = arg;

    for (;;) {
        struct question *question = next_question(resolver);

        if (question == NULL) {
            return NULL;
        }
        question->answer->err =
            resolve_now(question->answer->host, question->port, &question->answer->list);
        (void)mailbox_post(question->box, &question->answer->mail);
        question->answer = NULL;
        question_free(question);
    }
}

int resolver_create(struct resolver **ret_resolver)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL) {
        return -ENOMEM;
    }
    list_init(&resolver->questions);
    (void)pthread_mutex_init(&resolver->lock, NULL);
    (void)pthread_cond_init(&resolver->wake, NULL);

    int rc = pthread_create(&resolver->thread, NULL, resolver_main, resolver);

    if (rc != 0) {
        (void)pthread_cond_destroy(&resolver->wake);
        (void)pthread_mutex_destroy(&resolver->lock);
        free(resolver);
        return -rc;
    }
    *ret_resolver = resolver;
    return 0;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->is_stopping = true;
    (void)pthread_cond_signal(&resolver->wake);
    (void)pthread_mutex_unlock(&resolver->lock);
    (void)pthread_join(resolver->thread, NULL);
    for (;;) {
        struct list_node *node = list_pop(&resolver->questions);

        if (node == NULL) {
            break;
        }
        question_free(list_entry(node, struct question, link));
    }
    (void)pthread_cond_destroy(&resolver->wake);
    (void)pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

int resolver_ask(struct resolver *resolver, const char *host, uint16_t port, struct mailbox *box,
                 uint32_t kind, void *arg)
{
    if (strlen(host) >= RESOLVE_HOST_BYTES) {
        return -ENAMETOOLONG;
    }

    struct question *question = calloc(1, sizeof(*question));
    struct resolve_mail *answer = calloc(1, sizeof(*answer));

    if (question == NULL || answer == NULL) {
        free(question);
        free(answer);
        return -ENOMEM;
    }
    answer->mail.kind = kind;
    answer->mail.free_fn = answer_free;
    answer->arg = arg;
    memcpy(answer->host, host, strlen(host) + 1);
    question->answer = answer;
    question->box = mailbox_ref(box);
    question->port = port;
    (void)pthread_mutex_lock(&resolver->lock);

    bool is_full = resolver->count >= QUESTIONS_MAX;

    if (!is_full) {
        resolver->count++;
        list_push(&resolver->questions, &question->link);
        (void)pthread_cond_signal(&resolver->wake);
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    if (is_full) {
        question_free(question);
        return -WR_E_LIMIT;
    }
    return 0;
}
