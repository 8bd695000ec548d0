/*
 * stream_tcp_turns.c - which streams are written and read in a turn, and which wait for the
 * next one.
 *
 * Input: links first, for what they bring is for many; then clients, tenants in turn, a small
 * piece each while others wait. Output: what somebody waits for first; then, a few each turn,
 * what was written without hurry (stream_write_unhurried()). What is left keeps its place, and
 * the next turn does not sleep.
 */
#include "common/base/limits.h"
#include "common/net/stream_tcp_internal.h"

static bool is_late(struct loop *loop, uint64_t us)
{
    return loop_turn_us(loop) >= us;
}

/* ---- writing ---- */

void stream_tcp_mark_dirty(struct stream_tcp *s)
{
    if (list_linked(&s->work) && !s->is_unhurried)
        return;
    list_del(&s->work);
    s->is_unhurried = false;
    list_add_tail(&s->loop->dirty, &s->work);
}

void stream_tcp_mark_unhurried(struct stream_tcp *s)
{
    if (list_linked(&s->work))
        return;
    s->is_unhurried = true;
    list_add_tail(&s->loop->unhurried, &s->work);
}

static void flush_first(struct list *streams)
{
    struct stream_tcp *s = list_first(streams, struct stream_tcp, work);

    list_del(&s->work);
    s->is_unhurried = false;
    stream_tcp_flush(s);
}

void stream_tcp_flush_all(struct loop *loop)
{
    struct list now; /* what on_drained adds goes into the next round */

    list_init(&now);
    list_splice_tail(&now, &loop->dirty);
    while (!list_empty(&now) && loop->flushes_left > 0) {
        loop->flushes_left--;
        flush_first(&now);
    }
    /* The rest is written first in the next turn, which does not wait. */
    list_splice_tail(&now, &loop->dirty);
    list_splice_tail(&loop->dirty, &now);
}

void stream_tcp_flush_unhurried(struct loop *loop)
{
    for (unsigned n = 0; n < UNHURRIED_PER_TURN && !list_empty(&loop->unhurried); n++) {
        if (n >= UNHURRIED_PER_TURN_MIN && is_late(loop, TURN_LATE_US))
            return;
        flush_first(&loop->unhurried);
    }
}

/* ---- reading ---- */

void stream_tcp_mark_ready(struct stream_tcp *s)
{
    if (list_linked(&s->ready.link))
        return;
    s->is_first = s->stream.is_link;
    if (s->is_first) {
        list_add_tail(&s->loop->links_ready, &s->ready.link);
        return;
    }
    s->ready.tenant = s->stream.tenant;
    fair_push(&s->loop->clients_ready, &s->ready);
}

void stream_tcp_unmark_ready(struct stream_tcp *s)
{
    if (!list_linked(&s->ready.link))
        return;
    if (s->is_first)
        list_del(&s->ready.link);
    else
        fair_remove(&s->loop->clients_ready, &s->ready);
}

bool stream_tcp_is_any_ready(const struct loop *loop)
{
    return !list_empty(&loop->links_ready) || !fair_is_empty(&loop->clients_ready);
}

/* Returns the bytes. */
static size_t read_some(struct stream_tcp *s, size_t size)
{
    if (s->state != STREAM_HANDSHAKING)
        return stream_tcp_read(s, size);
    stream_tcp_handshake(s);
    return 0;
}

/* Those that have more come again, as long as there is something left for this turn: behind the
 * catch-ups of others lies what is said in rooms. */
static void read_links(struct loop *loop)
{
    size_t left = LINKS_READ_PER_TURN;

    while (!list_empty(&loop->links_ready) && left > 0) {
        struct stream_tcp *s = list_first(&loop->links_ready, struct stream_tcp, ready.link);
        size_t n;

        list_del(&s->ready.link);
        n = read_some(s, STREAM_READ_PER_TURN);
        if (n == LOOP_SCRATCH_BYTES && stream_tcp_may_read(s))
            stream_tcp_mark_ready(s);
        left -= MIN(MAX(n, (size_t)LINK_READ_COST), left);
    }
}

static void read_clients(struct loop *loop)
{
    size_t n_ready = loop->clients_ready.n; /* those that come meanwhile: in the next turn */
    size_t left = CLIENTS_READ_PER_TURN;

    for (size_t n = 0; n < n_ready && !fair_is_empty(&loop->clients_ready); n++) {
        struct fair_item *item;
        size_t size;

        if (n >= CLIENTS_PER_TURN_MIN && (left == 0 || is_late(loop, TURN_READ_US)))
            return;
        item = fair_pop(&loop->clients_ready);
        size = fair_is_empty(&loop->clients_ready)
                   ? MIN((size_t)STREAM_READ_PER_TURN, MAX(left, (size_t)STREAM_READ_SHARE))
                   : STREAM_READ_SHARE;
        left -= MIN(read_some(container_of(item, struct stream_tcp, ready), size), left);
    }
}

void stream_tcp_read_ready(struct loop *loop)
{
    read_links(loop);
    read_clients(loop);
    if (stream_tcp_is_any_ready(loop))
        loop->reads_put_off++;
}
