/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/util/list.h"

#include "weir/util/assert.h"

void list_init(struct list *list)
{
    list_node_init(&list->head);
}

void list_node_init(struct list_node *node)
{
    node->prev = node;
    node->next = node;
}

bool list_node_is_linked(const struct list_node *node)
{
    return node->next != node;
}

bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

size_t list_count(const struct list *list)
{
    size_t count = 0;

    for (const struct list_node *node = list->head.next; node != &list->head; node = node->next) {
        count++;
    }
    return count;
}

void list_insert_before(struct list_node *pos, struct list_node *node)
{
    node->prev = pos->prev;
    node->next = pos;
    pos->prev->next = node;
    pos->prev = node;
}

void list_push(struct list *list, struct list_node *node)
{
    list_insert_before(&list->head, node);
}

void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_before(list->head.next, node);
}

void list_remove(struct list_node *node)
{
    WR_DASSERT(node->prev->next == node && node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_node_init(node);
}

struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

struct list_node *list_pop(struct list *list)
{
    struct list_node *node = list_first(list);

    if (node != NULL) {
        list_remove(node);
    }
    return node;
}

void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    struct list_node *first = from->head.next;
    struct list_node *last = from->head.prev;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    list_init(from);
}
