/*
 * list.h - intrusive doubly linked list with a sentinel head. A node that is
 * on no list points at itself, so list_del() may be called twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}
static inline void list_add_tail(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void list_add_head(struct list *head, struct list *node)
{
    list_add_tail(head->next, node);
}
static inline void list_del(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
/* Moves every node of from to the tail of to; from is empty afterwards. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)
#define list_for_each(pos, head, member)                                                       \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);     \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))
/* The current node may be unlinked (but not the next one). */
#define list_for_each_safe(pos, tmp, head, member)                                             \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),                             \
        tmp = list_entry(pos->member.next, __typeof__(*pos), member);                          \
         &pos->member != (head);                                                               \
         pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))
