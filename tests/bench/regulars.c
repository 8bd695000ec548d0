/* regulars.c - connecting, coming back, repeating; what arrives is read by regulars_in.c. */
#include "tests/bench/regulars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/regulars_state.h"
#include "tests/bench/tool.h"

#define GATHER_STALL_NS (20 * NS_PER_SEC)
#define GATHER_TURN_NS (NS_PER_SEC / 100)
#define TICK_NS (NS_PER_SEC / 200)      /* how often due returns and repeats are looked for */
#define BACK_FIRST_NS (NS_PER_SEC / 10) /* full jitter over this, doubled at each try... */
#define BACK_MOST_NS (NS_PER_SEC * 2)   /* ...up to this */

static void write_message(struct regulars *r, uint32_t i, const struct regular_pending *p)
{
    struct regular *c = &r->clients[i];
    size_t start;

    text_clear(&r->text);
    text_addf(&r->text, "{\"type\":\"message\",\"clientMessageId\":\"%u-%u\",\"content\":\"", i,
              p->n);
    start = r->text.len;
    text_addf(&r->text, "%c%c%u:%u:%llu%c%c", SCAN_MARK, SCAN_MARK, i, p->n,
              (unsigned long long)p->due_ns, SCAN_MARK, SCAN_MARK);
    while (r->text.len - start < r->o->size)
        text_add(&r->text, "x", 1);
    text_add(&r->text, "\"}", 2);
    net_send(r->net, &c->sockets[c->current].net, r->text.p, r->text.len);
}

/* Everything that is not acknowledged, in order. */
static void repeat_all(struct regulars *r, uint32_t i)
{
    struct regular *c = &r->clients[i];

    for (uint32_t k = 0; k < c->n_pending; k++) {
        c->pending[k].retry_at_ns = 0;
        c->pending[k].repeats++;
        r->counts.repeated++;
        write_message(r, i, &c->pending[k]);
    }
}

static void on_open(void *owner, struct net_client *net)
{
    (void)owner;
    (void)net;
}

static uint64_t jitter_ns(struct regulars *r, uint64_t most_ns)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (r->random >> 33) % (most_ns + 1);
}

/* When to try again: at once, then with full jitter over times that double. */
static uint64_t back_off(struct regulars *r, uint32_t tries)
{
    uint64_t most = BACK_FIRST_NS << (tries < 5 ? tries : 5);

    return now_ns() + jitter_ns(r, most < BACK_MOST_NS ? most : BACK_MOST_NS);
}

static void on_lost(void *owner, struct net_client *net, const char *why)
{
    struct regulars *r = owner;
    uint32_t i = net->id / 2, socket = net->id % 2;
    struct regular *c = &r->clients[i];

    if (!c->was_in)
        die("connection %u of %u could not enter its room: %s", i, r->n, why);
    if (socket != c->current) { /* the old one is still there */
        c->next_at_ns = back_off(r, c->tries);
        return;
    }
    if (c->is_in) {
        c->is_in = false;
        c->tries = 0;
        r->away++;
        r->counts.closed++;
        if (!r->first_loss[0])
            snprintf(r->first_loss, sizeof(r->first_loss), "%s", why);
    }
    c->next_at_ns = 0;
    if (c->sockets[1 - socket].net.fd >= 0)
        c->current = 1 - socket; /* it is on its way */
    else
        c->back_at_ns = back_off(r, c->tries);
}

void regulars_use(struct regulars *r, uint32_t i, uint32_t socket)
{
    struct regular *c = &r->clients[i];

    if (socket != c->current) {
        net_leave(r->net, &c->sockets[c->current].net);
        c->current = socket;
        r->counts.changed++;
    } else if (!c->was_in) {
        r->n_in++;
    } else if (!c->is_in) {
        r->away--;
        r->counts.returned++;
    }
    c->is_in = c->was_in = true;
    c->tries = 0;
    repeat_all(r, i);
}

static const struct net_events net_events = {on_open, regulars_on_payload, on_lost};

struct regulars *regulars_new(const struct regulars_options *o,
                              const struct regulars_events *events, void *owner)
{
    struct regulars *r = must_calloc(1, sizeof(*r));

    r->o = o;
    r->events = *events;
    r->owner = owner;
    r->n = o->rooms * o->members;
    r->random = now_ns();
    r->clients = must_calloc(r->n, sizeof(*r->clients));
    for (uint32_t i = 0; i < r->n; i++) {
        r->clients[i].sockets[0].net.fd = r->clients[i].sockets[1].net.fd = -1;
        check_member_init(&r->clients[i].check, o->members);
    }
    r->net = net_new(&net_events, r, 2 * r->n);
    setup_open_files(2 * r->n);
    return r;
}

void regulars_free(struct regulars *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n; i++) {
        struct regular *c = &r->clients[i];

        net_close(r->net, &c->sockets[0].net);
        net_close(r->net, &c->sockets[1].net);
        check_member_deinit(&c->check);
        check_order_deinit(&c->order);
        free(c->pending);
        free(c->refused);
        free(c->token);
    }
    net_free(r->net);
    free(r->clients);
    free(r->text.p);
    free(r);
}

static void prepare(struct regulars *r)
{
    const struct regulars_options *o = r->o;
    struct httpc h;
    char name[128];
    char *token;

    httpc_open(&h, &o->target[0]);
    snprintf(name, sizeof(name), "%s-host", o->prefix);
    token = setup_mint(&h, o->api_key, name, "admin");
    for (uint32_t i = 0; i < o->rooms; i++) {
        snprintf(name, sizeof(name), "%s-r%u", o->prefix, i);
        setup_room(&h, token, name);
    }
    free(token);
    for (uint32_t i = 0; i < r->n; i++) {
        snprintf(name, sizeof(name), "%s-u%u", o->prefix, i);
        r->clients[i].token = setup_mint(&h, o->api_key, name, "member");
    }
    httpc_close(&h);
}

/* Each try goes to the next gateway: the one that was lost may be gone for good. */
static void connect_one(struct regulars *r, uint32_t i, uint32_t socket)
{
    const struct regulars_options *o = r->o;
    struct regular *c = &r->clients[i];
    const struct sockaddr_in *addr = &o->target[(i + c->moves++) % o->n_targets];

    c->sockets[socket].is_subscribed = false;
    c->sockets[socket].has_replay = !c->was_in;
    c->sockets[socket].has_seq = c->was_in;
    c->sockets[socket].seq = c->check.last_seq;
    text_clear(&r->text);
    text_addf(&r->text, "GET /ws/room/%s-r%u?v=1&token=%s", o->prefix, i % o->rooms, c->token);
    if (c->was_in)
        text_addf(&r->text, "&lastSeq=%llu&generation=%s",
                  (unsigned long long)c->check.last_seq, c->generation);
    else
        text_addf(&r->text, "&replay=off");
    text_addf(&r->text,
              " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Key: Zmx1eHktbG9hZC1nZW4uMQ==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n",
              ntohs(addr->sin_port));
    net_connect(r->net, &c->sockets[socket].net, 2 * i + socket, (const struct sockaddr *)addr,
                sizeof(*addr), r->text.p, r->text.len);
}

void regulars_gather(struct regulars *r)
{
    uint64_t progress = now_ns();
    uint32_t started = 0, seen = 0;

    prepare(r);
    while (r->n_in < r->n) {
        while (started < r->n && started - r->n_in < r->o->opening)
            connect_one(r, started++, 0);
        net_turn(r->net, GATHER_TURN_NS);
        if (r->n_in != seen) {
            seen = r->n_in;
            progress = now_ns();
        } else if (now_ns() - progress > GATHER_STALL_NS) {
            die("only %u of %u connections are in their rooms%s%s", seen, r->n,
                r->first_error[0] ? "; " : "", r->first_error);
        }
    }
}

/* ---- sending ---- */

void regulars_send(struct regulars *r, uint32_t sender, uint32_t n, uint64_t due_ns)
{
    struct regular *c = &r->clients[sender];

    if (c->n_pending == c->cap_pending) {
        c->cap_pending = c->cap_pending ? c->cap_pending * 2 : 8;
        c->pending = must_realloc(c->pending, c->cap_pending * sizeof(*c->pending));
    }
    c->pending[c->n_pending] = (struct regular_pending){.n = n, .due_ns = due_ns};
    c->sent = n + 1;
    if (c->is_in)
        write_message(r, sender, &c->pending[c->n_pending]);
    c->n_pending++;
}

static void tick_one(struct regulars *r, uint32_t i, uint64_t now)
{
    struct regular *c = &r->clients[i];

    if (c->back_at_ns != 0 && now >= c->back_at_ns) {
        c->back_at_ns = 0;
        c->tries++;
        r->counts.attempts++;
        connect_one(r, i, c->current);
        return;
    }
    if (c->next_at_ns != 0 && now >= c->next_at_ns) {
        c->next_at_ns = 0;
        c->tries++;
        r->counts.attempts++;
        connect_one(r, i, 1 - c->current);
    }
    for (uint32_t k = 0; c->is_in && k < c->n_pending; k++) {
        struct regular_pending *p = &c->pending[k];

        if (p->retry_at_ns == 0 || now < p->retry_at_ns)
            continue;
        p->retry_at_ns = 0;
        p->repeats++;
        r->counts.repeated++;
        write_message(r, i, p);
    }
}

void regulars_turn(struct regulars *r, uint64_t wait_ns)
{
    uint64_t now = now_ns();

    if (now >= r->tick_at_ns) {
        for (uint32_t i = 0; i < r->n; i++)
            tick_one(r, i, now);
        r->tick_at_ns = now + TICK_NS;
    }
    net_turn(r->net, wait_ns < TICK_NS ? wait_ns : TICK_NS);
}

/* ---- what came of it ---- */

const struct regulars_counts *regulars_counts(const struct regulars *r)
{
    return &r->counts;
}

const struct check_totals *regulars_checks(const struct regulars *r)
{
    return &r->checks;
}

uint32_t regulars_away(const struct regulars *r)
{
    return r->away;
}

void regulars_take_silences(struct regulars *r, uint64_t *ret_ns)
{
    uint64_t now = now_ns();

    for (uint32_t i = 0; i < r->n; i++) {
        struct regular *c = &r->clients[i];
        uint64_t open = c->last_ns != 0 ? now - c->last_ns : 0;

        ret_ns[i] = open > c->silence_ns ? open : c->silence_ns;
        c->silence_ns = 0;
    }
}

const char *regulars_first_wrong(const struct regulars *r)
{
    return r->first_wrong;
}

const char *regulars_first_error(const struct regulars *r)
{
    return r->first_error;
}

const char *regulars_first_loss(const struct regulars *r)
{
    return r->first_loss;
}

void regulars_count_missing(struct regulars *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        for (uint32_t slot = 0; slot < r->o->members; slot++) {
            uint32_t sender = slot * r->o->rooms + i % r->o->rooms;

            r->checks.lost +=
                check_missing(&r->clients[i].check, slot, r->clients[sender].sent);
        }
    }
}
