/* waits.c - one record for each message, in the order of the schedule. */
#include "tests/bench/waits.h"

#include <stdlib.h>

#include "tests/bench/tool.h"

void waits_init(struct waits *w, uint32_t rooms, uint32_t members)
{
    *w = (struct waits){.rooms = rooms, .members = members};
}

void waits_deinit(struct waits *w)
{
    free(w->messages);
    *w = (struct waits){0};
}

uint64_t waits_due(struct waits *w, uint64_t due_ns)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap + w->cap / 2 : 16384;
        w->messages = must_realloc(w->messages, w->cap * sizeof(*w->messages));
    }
    w->messages[w->n] = (struct waits_message){.due_ns = due_ns, .left = w->members};
    return w->n++;
}

void waits_acked(struct waits *w, uint64_t k, uint64_t at_ns)
{
    if (k < w->n && w->messages[k].acked_ns == 0)
        w->messages[k].acked_ns = at_ns;
}

void waits_seen(struct waits *w, uint64_t k, uint64_t at_ns)
{
    if (k < w->n && w->messages[k].left > 0 && --w->messages[k].left == 0)
        w->messages[k].seen_ns = at_ns;
}

bool waits_is_settled(const struct waits *w, uint64_t k)
{
    return w->messages[k].acked_ns != 0 && w->messages[k].left == 0;
}

uint64_t waits_first_open(const struct waits *w, uint64_t from, uint64_t to)
{
    while (from < to && waits_is_settled(w, from))
        from++;
    return from;
}

static uint64_t since(uint64_t due_ns, uint64_t at_ns)
{
    return at_ns > due_ns ? at_ns - due_ns : 0;
}

static uint64_t ended_ns(const struct waits_message *m)
{
    return m->acked_ns > m->seen_ns ? m->acked_ns : m->seen_ns;
}

void waits_figures_init(struct waits_figures *f, const struct waits *w, uint64_t from,
                        uint64_t to, uint64_t now_ns)
{
    *f = (struct waits_figures){.n = to - from};
    f->room_ns = must_calloc(w->rooms, sizeof(*f->room_ns));
    for (uint64_t k = from; k < to; k++) {
        const struct waits_message *m = &w->messages[k];
        bool settled = waits_is_settled(w, k);
        uint64_t wait = since(m->due_ns, settled ? ended_ns(m) : now_ns);

        f->unsettled += !settled;
        histo_add(&f->wait, wait);
        if (m->acked_ns != 0) {
            f->acked++;
            histo_add(&f->ack, since(m->due_ns, m->acked_ns));
        }
        if (wait > f->room_ns[k % w->rooms])
            f->room_ns[k % w->rooms] = wait;
    }
}

void waits_figures_deinit(struct waits_figures *f)
{
    free(f->room_ns);
    *f = (struct waits_figures){0};
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t waits_quantile(uint64_t *values, uint32_t n, double q)
{
    double exact = q * (double)n - 1e-9; /* 0.99 of 100 is 99, whatever doubles say */
    uint32_t rank = exact > 0 ? (uint32_t)exact : 0;

    if (n == 0)
        return 0;
    qsort(values, n, sizeof(*values), by_size);
    return values[rank < n ? rank : n - 1];
}
