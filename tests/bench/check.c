/* check.c - expected numbers, and holes where they were not met. */
#include "tests/bench/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/tool.h"

bool check_is_clean(const struct check_totals *t)
{
    return t->lost == 0 && t->duplicated == 0 && t->reordered == 0 && t->foreign == 0 &&
           t->seq_gap == 0 && t->seq_back == 0 && t->disagreed == 0 && t->unnumbered == 0;
}

void check_member_init(struct check_member *m, uint32_t slots)
{
    *m = (struct check_member){.next = must_calloc(slots, sizeof(*m->next))};
}

void check_member_deinit(struct check_member *m)
{
    free(m->next);
    free(m->holes);
    *m = (struct check_member){0};
}

static void add_hole(struct check_member *m, uint32_t slot, uint32_t from, uint32_t to)
{
    if (m->n_holes == m->cap_holes) {
        m->cap_holes = m->cap_holes ? m->cap_holes * 2 : 4;
        m->holes = must_realloc(m->holes, m->cap_holes * sizeof(*m->holes));
    }
    m->holes[m->n_holes++] = (struct check_hole){slot, from, to};
}

/* Takes @n out of the hole that has it. False when none has: it came before. */
static bool fill_hole(struct check_member *m, uint32_t slot, uint32_t n)
{
    for (uint32_t i = 0; i < m->n_holes; i++) {
        struct check_hole hole = m->holes[i];

        if (hole.slot != slot || n < hole.from || n >= hole.to)
            continue;
        m->holes[i] = m->holes[--m->n_holes];
        if (hole.from < n)
            add_hole(m, slot, hole.from, n);
        if (n + 1 < hole.to)
            add_hole(m, slot, n + 1, hole.to);
        return true;
    }
    return false;
}

enum check_answer check_message(struct check_totals *t, struct check_member *m, uint32_t slot,
                                uint32_t n, uint32_t sent)
{
    uint32_t expected = m->next[slot];

    if (n >= sent) {
        t->foreign++;
        return CHECK_NEVER_SENT;
    }
    if (n >= expected) {
        if (n > expected)
            add_hole(m, slot, expected, n);
        m->next[slot] = n + 1;
    } else if (fill_hole(m, slot, n)) {
        t->reordered++;
    } else {
        t->duplicated++;
        return CHECK_REPEAT;
    }
    t->delivered++;
    return CHECK_NEW;
}

void check_seq(struct check_totals *t, struct check_member *m, uint64_t seq)
{
    if (m->has_seq && seq <= m->last_seq) {
        t->seq_back++;
        return;
    }
    if (m->has_seq && seq != m->last_seq + 1)
        t->seq_gap++;
    m->has_seq = true;
    m->last_seq = seq;
}

uint64_t check_missing(const struct check_member *m, uint32_t slot, uint32_t sent)
{
    uint64_t missing = sent - m->next[slot];

    for (uint32_t i = 0; i < m->n_holes; i++) {
        if (m->holes[i].slot == slot)
            missing += m->holes[i].to - m->holes[i].from;
    }
    return missing;
}

void check_order_deinit(struct check_order *o)
{
    free(o->seq_of);
    *o = (struct check_order){0};
}

void check_same_seq(struct check_totals *t, struct check_order *o, uint32_t n, uint64_t seq)
{
    if (n >= o->cap) {
        uint32_t cap = n + n / 2 + 1024;

        o->seq_of = must_realloc(o->seq_of, cap * sizeof(*o->seq_of));
        memset(o->seq_of + o->cap, 0, (cap - o->cap) * sizeof(*o->seq_of));
        o->cap = cap;
    }
    if (o->seq_of[n] == 0)
        o->seq_of[n] = seq;
    else if (o->seq_of[n] != seq)
        t->disagreed++;
}
