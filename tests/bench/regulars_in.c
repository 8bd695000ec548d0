/* regulars_in.c - frames from the server: counted, checked, and passed on once. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/regulars_state.h"

#define RETRY_DEFAULT_MS 500
#define RETRY_MOST_MS 60000

static void note_error(struct regulars *r, const char *p, size_t len)
{
    if (!r->first_error[0])
        snprintf(r->first_error, sizeof(r->first_error), "%.*s", (int)len, p);
}

/* What was wrong with the first frame that broke a promise. */
__attribute__((format(printf, 2, 3))) static void note_wrong(struct regulars *r,
                                                             const char *fmt, ...)
{
    va_list ap;

    if (r->first_wrong[0])
        return;
    va_start(ap, fmt);
    (void)vsnprintf(r->first_wrong, sizeof(r->first_wrong), fmt, ap); /* cut is as good */
    va_end(ap);
}

static struct regular_pending *find_pending(struct regular *c, uint32_t n)
{
    for (uint32_t k = 0; k < c->n_pending; k++) {
        if (c->pending[k].n == n)
            return &c->pending[k];
    }
    return NULL;
}

/* The server asked for another try of it at least once: its place in the order is gone. */
static bool was_refused(const struct regular *c, uint32_t n)
{
    for (uint32_t k = 0; k < c->n_refused; k++) {
        if (c->refused[k] == n)
            return true;
    }
    return false;
}

static void remember_refused(struct regular *c, uint32_t n)
{
    if (was_refused(c, n))
        return;
    c->refused = must_realloc(c->refused, (c->n_refused + 1u) * sizeof(*c->refused));
    c->refused[c->n_refused++] = n;
}

/* ---- messages ---- */

/*
 * A message that the server has refused and the client has sent again may come after a later
 * one: only frames that were taken keep their order.
 */
static void take_message(struct regulars *r, uint32_t i, const struct scan *scan,
                         uint64_t at_ns)
{
    struct regular *c = &r->clients[i], *sender;
    uint32_t rooms = r->o->rooms;
    uint64_t reordered = r->checks.reordered;

    if (!scan->has_mark || scan->sender >= r->n || scan->sender % rooms != i % rooms) {
        r->checks.foreign++;
        return;
    }
    sender = &r->clients[scan->sender];
    if (check_message(&r->checks, &c->check, scan->sender / rooms, scan->n, sender->sent) !=
        CHECK_NEW)
        return;
    if (was_refused(sender, scan->n))
        r->checks.reordered = reordered;
    if (scan->has_seq)
        check_same_seq(&r->checks, &sender->order, scan->n, scan->seq);
    else
        r->checks.unnumbered++;
    if (c->last_ns != 0 && at_ns - c->last_ns > c->silence_ns)
        c->silence_ns = at_ns - c->last_ns;
    c->last_ns = at_ns;
    r->events.on_seen(r->owner, scan->sender, scan->n, at_ns);
}

static void take_ack(struct regulars *r, uint32_t i, const struct scan *scan, uint64_t at_ns)
{
    struct regular *c = &r->clients[i];
    struct regular_pending *p =
        scan->has_mark && scan->sender == i ? find_pending(c, scan->n) : NULL;

    if (!p) {
        r->counts.stray++;
        return;
    }
    memmove(p, p + 1, (size_t)(c->pending + c->n_pending - (p + 1)) * sizeof(*p));
    c->n_pending--;
    r->events.on_acked(r->owner, i, scan->n, at_ns);
}

/* ---- the seldom frames, by jansson ---- */

static json_t *parse(struct regulars *r, const char *p, size_t len)
{
    json_t *frame = json_loadb(p, len, 0, NULL);

    if (!frame) {
        r->counts.refused++;
        note_error(r, p, len);
    }
    return frame;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));

    return n > 0 ? (uint64_t)n : 0;
}

static void take_generation(struct regular *c, const json_t *frame)
{
    const char *text = json_string_value(json_object_get(frame, "generation"));

    if (text && strlen(text) < sizeof(c->generation))
        strcpy(c->generation, text);
}

static void look_whether_in(struct regulars *r, uint32_t i, uint32_t socket)
{
    struct regular_socket *k = &r->clients[i].sockets[socket];

    if (k->is_subscribed && k->has_replay)
        regulars_use(r, i, socket);
}

static void take_ready(struct regulars *r, uint32_t i, uint32_t socket, const char *p,
                       size_t len)
{
    struct regular *c = &r->clients[i];
    json_t *frame = parse(r, p, len);

    if (!frame)
        return;
    take_generation(c, frame);
    if (!c->was_in) {
        c->sockets[socket].has_seq = true;
        c->sockets[socket].seq = c->check.last_seq = number_of(frame, "currentSeq");
    }
    json_decref(frame);
    c->sockets[socket].is_subscribed = true;
    look_whether_in(r, i, socket);
}

static void take_event(struct regulars *r, uint32_t i, const json_t *event, uint64_t at_ns)
{
    struct regular *c = &r->clients[i];
    const char *type = json_string_value(json_object_get(event, "eventType"));
    uint64_t seq = number_of(event, "seq");
    char *payload;

    if (seq <= c->check.last_seq || !type || strcmp(type, "create") != 0)
        return;
    payload = json_dumps(json_object_get(event, "payload"), JSON_COMPACT);
    if (payload) {
        struct scan scan;

        scan_row(payload, strlen(payload), &scan);
        if (scan.has_mark)
            take_message(r, i, &scan, at_ns);
        free(payload);
    }
}

/* What was missed, (fromSeq, toSeq]. */
static void take_replay(struct regulars *r, uint32_t i, uint32_t socket, const char *p,
                        size_t len, uint64_t at_ns)
{
    struct regular *c = &r->clients[i];
    struct regular_socket *k = &c->sockets[socket];
    json_t *frame = parse(r, p, len), *event;
    size_t n;

    if (!frame)
        return;
    take_generation(c, frame);
    if (json_is_true(json_object_get(frame, "reset"))) {
        r->counts.resets++;
        k->seq = c->check.last_seq = number_of(frame, "currentSeq");
    } else if (number_of(frame, "fromSeq") > k->seq) {
        r->checks.seq_gap++;
        note_wrong(r, "client %u, connection %u: a replay from %llu behind %llu", i, c->moves,
                   (unsigned long long)number_of(frame, "fromSeq"), (unsigned long long)k->seq);
    } else {
        json_array_foreach(json_object_get(frame, "events"), n, event)
            take_event(r, i, event, at_ns);
        k->seq = number_of(frame, "toSeq");
        if (k->seq > c->check.last_seq)
            c->check.last_seq = k->seq;
    }
    k->has_replay = !json_is_true(json_object_get(frame, "more"));
    json_decref(frame);
    look_whether_in(r, i, socket);
}

static void take_goaway(struct regulars *r, uint32_t i, uint32_t socket, const char *p,
                        size_t len)
{
    struct regular *c = &r->clients[i];
    json_t *frame = parse(r, p, len);

    if (!frame)
        return;
    r->counts.goaway++;
    if (socket == c->current && c->sockets[1 - socket].net.fd < 0)
        c->next_at_ns = now_ns() + number_of(frame, "reconnectAfterMs") * (NS_PER_SEC / 1000);
    json_decref(frame);
}

static void take_error(struct regulars *r, uint32_t i, const struct scan *scan, const char *p,
                       size_t len)
{
    struct regular *c = &r->clients[i];
    struct regular_pending *pending =
        scan->has_mark && scan->sender == i ? find_pending(c, scan->n) : NULL;
    json_t *frame = parse(r, p, len);
    uint64_t ms;

    if (!frame)
        return;
    note_error(r, p, len);
    ms = number_of(frame, "retryAfterMs");
    if (ms == 0 || ms > RETRY_MOST_MS)
        ms = RETRY_DEFAULT_MS;
    if (pending && json_is_true(json_object_get(frame, "retryable"))) {
        r->counts.retryable++;
        remember_refused(c, scan->n);
        pending->retry_at_ns = now_ns() + ms * (NS_PER_SEC / 1000);
    } else {
        r->counts.refused++;
    }
    json_decref(frame);
}

/* What a client has sent again and the server has already comes once more, to this client only,
 * in front of the acknowledgement. */
static bool is_echo(struct regular *c, uint32_t i, const struct scan *scan)
{
    const struct regular_pending *p =
        scan->kind == SCAN_MESSAGE && scan->has_mark && scan->sender == i
            ? find_pending(c, scan->n)
            : NULL;

    return p && p->repeats > 0;
}

/*
 * Every socket has to bring the numbers of its room one after another. False: another socket of
 * this client has brought this one before.
 */
static bool is_news(struct regulars *r, uint32_t i, uint32_t socket, const struct scan *scan)
{
    struct regular *c = &r->clients[i];
    struct regular_socket *k = &c->sockets[socket];
    uint64_t to = scan->to_seq > scan->seq ? scan->to_seq : scan->seq;

    if (!k->has_seq)
        return true; /* before it is in the room for the first time */
    if (scan->seq <= k->seq && is_echo(c, i, scan)) {
        r->counts.echoes++;
        return false;
    }
    if (scan->seq <= k->seq) {
        r->checks.seq_back++;
        note_wrong(r, "client %u, connection %u: seq %llu behind %llu", i, c->moves,
                   (unsigned long long)scan->seq, (unsigned long long)k->seq);
        return true; /* to be found out as a double */
    }
    if (scan->seq != k->seq + 1) {
        r->checks.seq_gap++;
        note_wrong(r, "client %u, connection %u: seq %llu behind %llu", i, c->moves,
                   (unsigned long long)scan->seq, (unsigned long long)k->seq);
    }
    k->seq = to;
    if (to <= c->check.last_seq)
        return false;
    c->check.last_seq = to;
    return true;
}

void regulars_on_payload(void *owner, struct net_client *net, const char *p, size_t len)
{
    struct regulars *r = owner;
    uint64_t at_ns = net_read_at_ns(r->net);
    uint32_t i = net->id / 2, socket = net->id % 2;
    struct scan scan;

    scan_frame(p, len, &scan);
    if (scan.has_seq && scan.kind != SCAN_ACK && !is_news(r, i, socket, &scan))
        return;
    switch (scan.kind) {
    case SCAN_MESSAGE:
        take_message(r, i, &scan, at_ns);
        break;
    case SCAN_ACK:
        take_ack(r, i, &scan, at_ns);
        break;
    case SCAN_READY:
        take_ready(r, i, socket, p, len);
        break;
    case SCAN_REPLAY:
        take_replay(r, i, socket, p, len, at_ns);
        break;
    case SCAN_GOAWAY:
        take_goaway(r, i, socket, p, len);
        break;
    case SCAN_ERROR:
    case SCAN_BAD:
        take_error(r, i, &scan, p, len);
        break;
    default:
        break;
    }
}
