/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "weir/client/sess.h"
#include "weir/client/sess_list.h"
#include "weir/observe/digests.h"
#include "weir/util/attr.h"

#include "ask_priv.h"

struct ask_mail {
    struct mail mail;
    unsigned what;
    struct admin_answer answer;
};

struct kill_mail {
    struct mail mail;
    struct sess_kill kill;
};

static void ask_free(struct mail *mail)
{
    struct ask_mail *ask = WR_CONTAINER_OF(mail, struct ask_mail, mail);

    sess_list_free(ask->answer.sessions);
    digest_list_free(ask->answer.digests);
    free(ask);
}

struct mail *ask_create(uint32_t kind, uint32_t ticket, unsigned what)
{
    struct ask_mail *ask = calloc(1, sizeof(*ask));

    if (ask == NULL) {
        return NULL;
    }
    ask->mail = (struct mail){.kind = kind, .free_fn = ask_free};
    ask->what = what;
    ask->answer.ticket = ticket;
    return &ask->mail;
}

struct mail *ask_answer(uint32_t kind, struct mail *question, const struct sess_set *set,
                        const struct digests *digests)
{
    const struct ask_mail *asked = WR_CONTAINER_OF(question, struct ask_mail, mail);
    struct mail *mail = ask_create(kind, asked->answer.ticket, asked->what);

    if (mail != NULL) {
        struct ask_mail *ask = WR_CONTAINER_OF(mail, struct ask_mail, mail);

        if ((ask->what & ADMIN_ASK_SESSIONS) != 0 &&
            sess_set_list(set, ADMIN_SESSIONS_MAX, &ask->answer.sessions) < 0) {
            ask->answer.sessions = NULL;
        }
        if ((ask->what & ADMIN_ASK_DIGESTS) != 0 &&
            digests_list(digests, ADMIN_DIGESTS_MAX, &ask->answer.digests) < 0) {
            ask->answer.digests = NULL;
        }
    }
    return mail;
}

void ask_take(struct mail *mail, struct admin_answer *ret_answer)
{
    struct ask_mail *ask = WR_CONTAINER_OF(mail, struct ask_mail, mail);

    *ret_answer = ask->answer;
    ask->answer.sessions = NULL;
    ask->answer.digests = NULL;
}

static void kill_free(struct mail *mail)
{
    free(WR_CONTAINER_OF(mail, struct kill_mail, mail));
}

struct mail *ask_kill_create(uint32_t kind, const struct sess_kill *kill)
{
    struct kill_mail *own = calloc(1, sizeof(*own));

    if (own == NULL) {
        return NULL;
    }
    own->mail = (struct mail){.kind = kind, .free_fn = kill_free};
    own->kill = *kill;
    return &own->mail;
}

const struct sess_kill *ask_kill(struct mail *mail)
{
    return &WR_CONTAINER_OF(mail, struct kill_mail, mail)->kill;
}
