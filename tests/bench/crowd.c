/* crowd.c - set-up over HTTP, then a bounded number of handshakes at a time. */
#include "tests/bench/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/httpc.h"
#include "tests/bench/net.h"
#include "tests/bench/setup.h"
#include "tests/bench/tool.h"

#define GATHER_STALL_NS (20 * NS_PER_SEC)
#define QUIET_NS (NS_PER_SEC * 3 / 10)
#define QUIET_LIMIT_NS (10 * NS_PER_SEC)
#define TURN_NS (NS_PER_SEC / 100)

struct crowd {
    const struct load_options *o; /* borrowed; outlives us */
    crowd_frame_fn on_frame;
    void *owner;
    struct net *net;
    struct net_client *clients; /* owned; n */
    char **tokens;              /* owned; n, or NULL with --floor */
    uint32_t n;
    uint32_t n_ready;
    bool *ready; /* owned; n */
    uint64_t lost;
    uint64_t errors;
    double gather_seconds;
    char first_error[256];
};

static void note_error(struct crowd *crowd, const char *what, const char *p, size_t len)
{
    if (!crowd->first_error[0])
        snprintf(crowd->first_error, sizeof(crowd->first_error), "%s: %.*s", what, (int)len, p);
}

static void now_ready(struct crowd *crowd, uint32_t conn)
{
    if (!crowd->ready[conn]) {
        crowd->ready[conn] = true;
        crowd->n_ready++;
    }
}

static void on_open(void *owner, struct net_client *c)
{
    struct crowd *crowd = owner;

    if (crowd->o->floor)
        now_ready(crowd, c->id);
}

static void on_payload(void *owner, struct net_client *c, const char *p, size_t len)
{
    struct crowd *crowd = owner;
    struct scan scan;

    if (crowd->o->floor)
        scan_raw(p, len, &scan);
    else
        scan_frame(p, len, &scan);
    if (scan.kind == SCAN_READY) {
        now_ready(crowd, c->id);
    } else if (scan.kind == SCAN_ERROR || scan.kind == SCAN_BAD) {
        crowd->errors++;
        note_error(crowd, "frame", p, len);
    }
    crowd->on_frame(crowd->owner, c->id, &scan, net_read_at_ns(crowd->net));
}

static void on_lost(void *owner, struct net_client *c, const char *why)
{
    struct crowd *crowd = owner;

    if (!crowd->ready[c->id])
        die("connection %u of %u could not enter its room: %s", c->id, crowd->n, why);
    crowd->lost++;
    note_error(crowd, "connection lost", why, strlen(why));
}

static const struct net_events crowd_net_events = {on_open, on_payload, on_lost};

struct crowd *crowd_new(const struct load_options *o, crowd_frame_fn on_frame, void *owner)
{
    struct crowd *crowd = must_calloc(1, sizeof(*crowd));

    crowd->o = o;
    crowd->on_frame = on_frame;
    crowd->owner = owner;
    crowd->n = o->rooms * o->members;
    crowd->clients = must_calloc(crowd->n, sizeof(*crowd->clients));
    crowd->ready = must_calloc(crowd->n, sizeof(*crowd->ready));
    for (uint32_t i = 0; i < crowd->n; i++)
        crowd->clients[i].fd = -1;
    crowd->net = net_new(&crowd_net_events, crowd, crowd->n);
    setup_open_files(crowd->n);
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    if (!crowd)
        return;
    for (uint32_t i = 0; i < crowd->n; i++) {
        net_close(crowd->net, &crowd->clients[i]);
        if (crowd->tokens)
            free(crowd->tokens[i]);
    }
    net_free(crowd->net);
    free(crowd->clients);
    free(crowd->tokens);
    free(crowd->ready);
    free(crowd);
}

static void make_rooms(struct crowd *crowd, struct httpc *h)
{
    const struct load_options *o = crowd->o;
    char name[128];
    char *token;

    snprintf(name, sizeof(name), "%s-host", o->prefix);
    token = setup_mint(h, o->api_key, name, "admin");
    for (uint32_t i = 0; i < o->rooms; i++) {
        snprintf(name, sizeof(name), "%s-r%u", o->prefix, i);
        setup_room(h, token, name);
    }
    free(token);
}

void crowd_prepare(struct crowd *crowd)
{
    const struct load_options *o = crowd->o;
    struct httpc h;

    if (o->floor)
        return;
    httpc_open(&h, &o->target[0]);
    make_rooms(crowd, &h);
    crowd->tokens = must_calloc(crowd->n, sizeof(*crowd->tokens));
    for (uint32_t i = 0; i < crowd->n; i++) {
        char user[128];

        snprintf(user, sizeof(user), "%s-u%u", o->prefix, i);
        crowd->tokens[i] = setup_mint(&h, o->api_key, user, "member");
    }
    httpc_close(&h);
}

static void connect_one(struct crowd *crowd, uint32_t i, struct text *request)
{
    const struct load_options *o = crowd->o;
    uint32_t room = i % o->rooms;
    const struct sockaddr_in *addr = &o->target[i % o->n_targets];

    text_clear(request);
    if (o->floor)
        text_addf(request, "GET /%s-r%u HTTP/1.1\r\n", o->prefix, room);
    else
        text_addf(request, "GET /ws/room/%s-r%u?v=1&replay=off&token=%s HTTP/1.1\r\n",
                  o->prefix, room, crowd->tokens[i]);
    text_addf(request,
              "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: Zmx1eHktbG9hZC1nZW4uMQ==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n",
              ntohs(addr->sin_port));
    net_connect(crowd->net, &crowd->clients[i], i, (const struct sockaddr *)addr, sizeof(*addr),
                request->p, request->len);
}

void crowd_gather(struct crowd *crowd)
{
    uint64_t start = now_ns(), progress = start;
    struct text request = {0};
    uint32_t started = 0, seen = 0;

    while (crowd->n_ready < crowd->n) {
        while (started < crowd->n && started - crowd->n_ready < crowd->o->opening)
            connect_one(crowd, started++, &request);
        net_turn(crowd->net, TURN_NS);
        if (crowd->n_ready != seen) {
            seen = crowd->n_ready;
            progress = now_ns();
        } else if (now_ns() - progress > GATHER_STALL_NS) {
            die("only %u of %u connections are in their rooms%s%s", seen, crowd->n,
                crowd->first_error[0] ? "; " : "", crowd->first_error);
        }
    }
    free(request.p);
    crowd->gather_seconds = (double)(now_ns() - start) / 1e9;
}

void crowd_settle(struct crowd *crowd, uint64_t ns)
{
    uint64_t start = now_ns(), quiet_since = start, bytes = net_bytes_in(crowd->net);

    for (;;) {
        uint64_t now;

        net_turn(crowd->net, TURN_NS);
        now = now_ns();
        if (net_bytes_in(crowd->net) != bytes) {
            bytes = net_bytes_in(crowd->net);
            quiet_since = now;
        }
        if (now - start >= ns + QUIET_LIMIT_NS ||
            (now - start >= ns && now - quiet_since >= QUIET_NS))
            return;
    }
}

void crowd_disperse(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->n; i++)
        net_close(crowd->net, &crowd->clients[i]);
}

uint32_t crowd_size(const struct crowd *crowd)
{
    return crowd->n;
}

void crowd_send(struct crowd *crowd, uint32_t conn, const char *p, size_t len)
{
    net_send(crowd->net, &crowd->clients[conn], p, len);
}

void crowd_turn(struct crowd *crowd, uint64_t wait_ns)
{
    net_turn(crowd->net, wait_ns);
}

uint64_t crowd_lost(const struct crowd *crowd)
{
    return crowd->lost;
}

uint64_t crowd_errors(const struct crowd *crowd)
{
    return crowd->errors;
}

const char *crowd_first_error(const struct crowd *crowd)
{
    return crowd->first_error;
}

double crowd_gather_seconds(const struct crowd *crowd)
{
    return crowd->gather_seconds;
}
