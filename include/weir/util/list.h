/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list - doubly linked lists whose links live in the objects.
 *
 * WHY       Lists mean states; moving between them must not allocate.
 * OWNS      none: the objects own their links.
 * THREADS   The owner of the list.
 * REENTRY   list_for_each_safe allows removal of the current node only.
 * UNITS     none
 * ERRORS    none
 * BOUNDS    none
 */
#ifndef WEIR_UTIL_LIST_H
#define WEIR_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/util/attr.h"

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* head.next is the first node; an empty list points at itself. */
struct list {
    struct list_node head;
};

void list_init(struct list *list);
/* A node outside any list; list_remove() of it does nothing. */
void list_node_init(struct list_node *node);
bool list_node_is_linked(const struct list_node *node);
bool list_is_empty(const struct list *list);
size_t list_count(const struct list *list);

/* At the end, at the front, ahead of pos. node must be in no list. */
void list_push(struct list *list, struct list_node *node);
void list_push_front(struct list *list, struct list_node *node);
void list_insert_before(struct list_node *pos, struct list_node *node);
/* Leaves node as list_node_init() does. */
void list_remove(struct list_node *node);
/* First node, NULL when empty; pop removes it. */
struct list_node *list_first(const struct list *list);
struct list_node *list_pop(struct list *list);
/* Moves every node of from to the end of to. */
void list_splice(struct list *to, struct list *from);

#define list_entry(node, type, member) WR_CONTAINER_OF(node, type, member)

/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name cannot stand in parentheses. */
/* node is declared by the macro. */
#define list_for_each(node, list) \
    for (struct list_node *node = (list)->head.next; node != &(list)->head; node = node->next)

/* The body may remove (and free) node. */
#define list_for_each_safe(node, list)                                          \
    for (struct list_node *node = (list)->head.next, *node##_next = node->next; \
         node != &(list)->head; node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
