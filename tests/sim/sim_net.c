/*
 * sim_net.c - connections of the simulated world.
 *
 *     sender                      wire                          receiver
 *     write -> end->out (one turn's bytes) -> packet (delay, FIFO) -> on_bytes, in pieces
 *
 * An end lives until both its owner has let go and the last event that names
 * it has run (refs); it belongs to its node's list until the node's memory goes.
 */
#include "tests/sim/sim_net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define HIGH_MARK                                                                              \
    (1024u * 1024) /* bytes on the way after which the writer is told to wait for on_drained   \
                    */

struct sim_stream {
    struct stream stream;
    struct list link; /* node->streams */
    struct sim_node *node;
    struct sim_stream *peer; /* NULL once the other end is gone */
    struct sim_node *far;    /* the other end's node, also afterwards; NULL while dialling */
    unsigned refs;           /* owner + events under way */
    bool opened, closed;     /* closed: no event goes up any more */
    bool paused;
    bool was_high;
    bool is_deaf;        /* what was on its way is lost with the connection */
    uint64_t arrives_ms; /* when the last packet to us arrives: the next one is not earlier */
    struct list held;    /* packets that wait: paused, stopped node, partition */
};

enum packet_kind { PACKET_OPEN, PACKET_BYTES, PACKET_END };

struct packet {
    struct list link;
    struct sim_stream *to;
    enum packet_kind kind;
    enum stream_end end;
    struct blob *blob;
};

/* The way from one node to the other: cut, or slower than others. */
struct way {
    struct list link;
    const struct sim_node *from, *to;
    bool is_cut;
    unsigned slow_ms;
};

static struct list ways = {&ways, &ways};

static struct way *find_way(const struct sim_node *from, const struct sim_node *to)
{
    struct way *way;

    list_for_each(way, &ways, link)
    {
        if (way->from == from && way->to == to)
            return way;
    }
    return NULL;
}

static bool is_cut(const struct sim_node *from, const struct sim_node *to)
{
    const struct way *way = find_way(from, to);

    return way && way->is_cut;
}

static unsigned slow_ms(const struct sim_node *from, const struct sim_node *to)
{
    const struct way *way = find_way(from, to);

    return way ? way->slow_ms : 0;
}

/* noinline, and no free for clang's analyzer: neither compiler sees that the count keeps an end
 * alive, and both warn of uses after the free. */
static __attribute__((noinline)) void end_unref(struct sim_stream *end)
{
    assert(end->refs > 0);
    if (--end->refs > 0)
        return;
    list_del(&end->link);
#ifndef __clang_analyzer__
    free(end);
#endif
}

/* ---- arrival ---- */

static void give_bytes(struct sim_stream *end, struct blob *blob)
{
    struct sim_rng *rng = &end->node->sim->rng;
    struct sim_stream *from = end->peer;
    size_t at = 0;

    while (at < blob->len && !end->closed) {
        size_t left = blob->len - at;
        size_t n = sim_chance(rng, 100) ? sim_range(rng, 1, left) : left;

        end->stream.events->on_bytes(end->stream.owner, slice_of(blob->data + at, n));
        at += n;
    }
    if (from && !from->closed) {
        from->stream.queued_bytes -= MIN(from->stream.queued_bytes, (size_t)blob->len);
        if (from->was_high && from->stream.queued_bytes < HIGH_MARK / 2 && from->node->up) {
            from->was_high = false;
            if (from->stream.events->on_drained)
                from->stream.events->on_drained(from->stream.owner);
            sim_turn_end(from->node);
        }
    }
}

static void take_packet(struct packet *packet)
{
    struct sim_stream *end = packet->to;
    struct sim_node *node = end->node;

    if (!end->closed && node->up) {
        switch (packet->kind) {
        case PACKET_OPEN:
            if (end->is_deaf)
                break;
            end->opened = true;
            end->stream.events->on_open(end->stream.owner);
            break;
        case PACKET_BYTES:
            if (!end->is_deaf)
                give_bytes(end, packet->blob);
            break;
        case PACKET_END:
            end->closed = true;
            end->stream.events->on_close(end->stream.owner, packet->end);
            end_unref(end); /* the owner's */
            break;
        }
        sim_turn_end(node);
    }
    blob_unref(packet->blob);
    free(packet);
    end_unref(end); /* the packet's */
}

static bool must_wait(const struct sim_stream *end, const struct packet *packet)
{
    if (end->node->paused || (end->paused && packet->kind == PACKET_BYTES))
        return true;
    return end->far && is_cut(end->far, end->node);
}

/* Takes what was held, in order, as far as nothing stands in the way any more. */
static void release_held(struct sim_stream *end)
{
    end->refs++;
    while (!list_empty(&end->held)) {
        struct packet *packet = list_first(&end->held, struct packet, link);

        if (must_wait(end, packet))
            break;
        list_del(&packet->link);
        take_packet(packet);
    }
    end_unref(end);
}

static void on_arrival(struct sim *sim, void *arg)
{
    struct packet *packet = arg;
    struct sim_stream *end = packet->to;

    (void)sim;
    if (end->node->up && !end->closed && (!list_empty(&end->held) || must_wait(end, packet))) {
        list_add_tail(&end->held, &packet->link);
        end->refs++;
        release_held(end);
        end_unref(end);
    } else {
        take_packet(packet);
    }
}

static void send_packet(struct sim_stream *to, enum packet_kind kind, struct blob *blob,
                        enum stream_end why)
{
    struct sim *sim = to->node->sim;
    struct packet *packet = malloc(sizeof(*packet));
    uint64_t at = sim->now_ms + sim_range(&sim->rng, sim->latency_min_ms, sim->latency_max_ms) +
                  (to->far ? slow_ms(to->far, to->node) : 0);

    if (!packet)
        abort();
    *packet = (struct packet){
        .to = to, .kind = kind, .end = why, .blob = blob ? blob_ref(blob) : NULL};
    list_init(&packet->link);
    to->refs++;
    to->arrives_ms = MAX(at, to->arrives_ms);
    sim_after(sim, to->arrives_ms - sim->now_ms, on_arrival, packet);
}

/* ---- the stream interface ---- */

static int net_write(struct stream *s, struct blob *blob)
{
    struct sim_stream *end = container_of(s, struct sim_stream, stream);

    if (blob->len == 0 || !end->peer || end->peer->closed)
        return 0; /* into the void: the reset is on its way */
    s->queued_bytes += blob->len;
    if (s->queued_bytes >= HIGH_MARK)
        end->was_high = true;
    send_packet(end->peer, PACKET_BYTES, blob, STREAM_END_EOF);
    return 0;
}

static void on_resume(struct sim *sim, void *arg)
{
    struct sim_stream *end = arg;

    (void)sim;
    release_held(end);
    end_unref(end);
}

static void net_pause(struct stream *s, bool paused)
{
    struct sim_stream *end = container_of(s, struct sim_stream, stream);

    if (end->paused == paused)
        return;
    end->paused = paused;
    if (!paused) { /* never from inside the caller's turn */
        end->refs++;
        sim_after(end->node->sim, 0, on_resume, end);
    }
}

static void detach_peer(struct sim_stream *end)
{
    if (end->peer) {
        end->peer->peer = NULL;
        end->peer = NULL;
    }
}

static void net_close(struct stream *s, bool flush)
{
    struct sim_stream *end = container_of(s, struct sim_stream, stream);

    (void)flush; /* what was written is under way already */
    assert(!end->closed);
    end->closed = true;
    if (end->peer)
        send_packet(end->peer, PACKET_END, NULL, STREAM_END_EOF);
    detach_peer(end);
    end_unref(end);
}

static const struct stream_ops net_ops = {
    .write = net_write, .pause = net_pause, .close = net_close};

static struct sim_stream *end_new(struct sim_node *node)
{
    struct sim_stream *end = calloc(1, sizeof(*end));

    if (!end)
        abort();
    end->stream.ops = &net_ops;
    end->node = node;
    end->refs = 1;
    list_init(&end->held);
    list_add_tail(&node->streams, &end->link);
    return end;
}

/* ---- connecting ---- */

struct dial {
    struct sim_stream *from;
    char *address;
};

static void on_dial(struct sim *sim, void *arg)
{
    struct dial *dial = arg;
    struct sim_stream *from = dial->from;
    struct sim_node *target = NULL;
    struct sim_node *node;

    list_for_each(node, &sim->nodes, link)
    {
        if (node->address && node->up && strcmp(node->address, dial->address) == 0)
            target = node;
    }
    if (from->closed || !from->node->up) {
        /* nobody waits for it any more */
    } else if (target &&
               (target->paused || is_cut(from->node, target) || is_cut(target, from->node))) {
        send_packet(from, PACKET_END, NULL, STREAM_END_TIMEOUT);
    } else if (!target || target->refuses) {
        send_packet(from, PACKET_END, NULL, STREAM_END_REFUSED);
    } else {
        struct sim_stream *to = end_new(target);

        from->peer = to;
        to->peer = from;
        from->far = target;
        to->far = from->node;
        to->opened = true;
        send_packet(from, PACKET_OPEN, NULL, STREAM_END_EOF);
        target->on_accept(target, &to->stream);
        sim_turn_end(target);
    }
    free(dial->address);
    free(dial);
    end_unref(from);
}

int sim_net_connect(struct env *env, const char *address, const struct stream_events *events,
                    void *owner, struct stream **ret_stream)
{
    struct sim_node *node = container_of(env, struct sim_node, env);
    struct sim_stream *end = end_new(node);
    struct dial *dial = malloc(sizeof(*dial));

    if (!dial)
        abort();
    dial->from = end;
    dial->address = strdup(address);
    end->stream.events = events;
    end->stream.owner = owner;
    end->refs++;
    sim_after(node->sim, sim_range(&node->sim->rng, 0, 2), on_dial, dial);
    *ret_stream = &end->stream;
    return 0;
}

/* ---- what there is ---- */

size_t sim_net_longest_queue(const struct sim_node *node)
{
    const struct sim_stream *end;
    size_t longest = 0;

    list_for_each(end, &node->streams, link)
    {
        if (!end->closed)
            longest = MAX(longest, end->stream.queued_bytes);
    }
    return longest;
}

size_t sim_net_count(const struct sim_node *node)
{
    const struct sim_stream *end;
    size_t n = 0;

    list_for_each(end, &node->streams, link) n += !end->closed && end->peer;
    return n;
}

/* ---- faults ---- */

static void reset_end(struct sim_stream *end)
{
    if (end->peer)
        send_packet(end->peer, PACKET_END, NULL, STREAM_END_RESET);
    detach_peer(end);
}

void sim_net_cut_node(struct sim_node *node)
{
    struct sim_stream *end;

    list_for_each(end, &node->streams, link) reset_end(end);
}

/* What waits at an end that nobody will read from any more. Each packet holds the end. */
static void drop_held(struct sim_stream *end)
{
    end->refs++;
    while (!list_empty(&end->held)) {
        struct packet *packet = list_first(&end->held, struct packet, link);

        list_del(&packet->link);
        blob_unref(packet->blob);
        free(packet);
        end_unref(end);
    }
    end_unref(end);
}

void sim_net_free_node(struct sim_node *node)
{
    struct sim_stream *end, *next;

    list_for_each_safe(end, next, &node->streams, link)
    {
        end->refs++;
        drop_held(end);
        detach_peer(end);
        if (!end->closed) {
            end->closed = true;
            end_unref(end);
        }
        end_unref(end);
    }
    /* Events under way still hold some; they go with the world's last turn. */
    list_for_each_safe(end, next, &node->streams, link) list_del(&end->link);
}

void sim_reset_connections(struct sim_node *a, struct sim_node *b, bool lost_to_a,
                           bool lost_to_b)
{
    struct sim_stream *end, *next;

    list_for_each_safe(end, next, &a->streams, link)
    {
        struct sim_stream *peer = end->peer;

        if (!peer || peer->node != b)
            continue;
        end->is_deaf = lost_to_a;
        peer->is_deaf = lost_to_b;
        send_packet(end, PACKET_END, NULL, STREAM_END_RESET);
        send_packet(peer, PACKET_END, NULL, STREAM_END_RESET);
        detach_peer(end);
    }
}

static void on_heal(struct sim *sim, void *arg)
{
    struct sim_node *node;

    (void)arg;
    list_for_each(node, &sim->nodes, link)
    {
        struct sim_stream *end, *next;

        list_for_each_safe(end, next, &node->streams, link) release_held(end);
    }
}

void sim_net_release(struct sim *sim)
{
    sim_after(sim, 0, on_heal, NULL);
}

static struct way *need_way(const struct sim_node *from, const struct sim_node *to)
{
    struct way *way = find_way(from, to);

    if (way)
        return way;
    way = calloc(1, sizeof(*way));
    if (!way)
        abort();
    way->from = from;
    way->to = to;
    list_add_tail(&ways, &way->link);
    return way;
}

void sim_partition_one_way(struct sim *sim, struct sim_node *from, struct sim_node *to,
                           bool cut)
{
    need_way(from, to)->is_cut = cut;
    if (!cut)
        sim_net_release(sim);
}

void sim_slow_down(struct sim_node *from, struct sim_node *to, unsigned ms)
{
    need_way(from, to)->slow_ms = ms;
}

void sim_partition(struct sim *sim, struct sim_node *a, struct sim_node *b, bool cut)
{
    sim_partition_one_way(sim, a, b, cut);
    sim_partition_one_way(sim, b, a, cut);
}

void sim_heal_partitions(struct sim *sim)
{
    while (!list_empty(&ways)) {
        struct way *way = list_first(&ways, struct way, link);

        list_del(&way->link);
        free(way);
    }
    sim_net_release(sim);
}
