/*
 * storm.c - many people enter one room at once: what that costs in bytes, and how often each of
 * them is told who is here. One thread, one epoll; `storm --help` lists the options.
 *
 * Every join is another user. Frames are told apart by their first member (the server writes
 * `type` first; the system tests check that it is JSON). The result is one JSON object on
 * stdout; the status is 1 when a socket was told more often than --most times in a second, or
 * does not know in the end how many there are.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/httpc.h"
#include "tests/bench/net.h"
#include "tests/bench/setup.h"
#include "tests/bench/tool.h"

#define TARGETS_MAX 16
#define WINDOW_MAX 64 /* presence frames of one socket that are remembered */
#define STALL_NS (30 * NS_PER_SEC)

struct options {
    struct sockaddr_in target[TARGETS_MAX];
    uint32_t n_targets;
    const char *api_key, *prefix;
    uint32_t joins, rate, most, native_percent;
    double settle_s;
};

struct client {
    struct net_client net;
    char *token; /* owned */
    bool is_native, is_in;
    uint32_t online; /* as last told */
    uint32_t frames, most;
    uint32_t n_recent;
    uint64_t recent_ns[WINDOW_MAX]; /* of the newest presence frames, a ring */
    uint64_t first_ns, last_ns;     /* of the presence frames */
};

struct storm {
    const struct options *o;
    struct net *net;
    struct client *clients; /* owned; o->joins */
    uint32_t n_started, n_in;
    uint64_t frames, presence_frames, presence_bytes, payload_bytes, member_bytes;
};

/* ---- what arrives ---- */

static bool is_type(const char *p, size_t len, const char *type)
{
    static const char begin[] = "{\"type\":\"";
    size_t n = sizeof(begin) - 1, m = strlen(type);

    return len > n + m && memcmp(p, begin, n) == 0 && memcmp(p + n, type, m) == 0 &&
           p[n + m] == '"';
}

static bool is_presence(const char *p, size_t len)
{
    static const char *const types[] = {"presence", "presence_delta", "subscription_count",
                                        "member_joined", "member_left"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (is_type(p, len, types[i]))
            return true;
    }
    return false;
}

static uint32_t number_of(const char *p, size_t len, const char *key)
{
    const char *at = memmem(p, len, key, strlen(key));

    return at ? (uint32_t)strtoul(at + strlen(key), NULL, 10) : 0;
}

/* How many presence frames this socket got in the second that ends now. */
static void count_recent(struct client *c, uint64_t now)
{
    uint32_t n = 1;

    while (n <= c->n_recent && n < WINDOW_MAX &&
           now - c->recent_ns[(c->frames + WINDOW_MAX - n) % WINDOW_MAX] < NS_PER_SEC)
        n++;
    if (c->frames == 0)
        c->first_ns = now;
    c->last_ns = now;
    c->recent_ns[c->frames++ % WINDOW_MAX] = now;
    if (c->n_recent < WINDOW_MAX)
        c->n_recent++;
    if (n > c->most)
        c->most = n;
}

static void on_open(void *owner, struct net_client *net)
{
    (void)owner;
    (void)net;
}

static void on_payload(void *owner, struct net_client *net, const char *p, size_t len)
{
    struct storm *s = owner;
    struct client *c = &s->clients[net->id];

    s->frames++;
    s->payload_bytes += len;
    if (is_type(p, len, "subscription_succeeded")) {
        c->is_in = true;
        s->n_in++;
    } else if (is_type(p, len, "membership") || is_type(p, len, "skip")) {
        s->member_bytes += len;
    } else if (is_type(p, len, "error")) {
        die("an error frame: %.*s", (int)len, p);
    } else if (is_presence(p, len)) {
        s->presence_frames++;
        s->presence_bytes += len;
        count_recent(c, net_read_at_ns(s->net));
        if (is_type(p, len, "presence"))
            c->online = number_of(p, len, "\"online\":");
    }
}

static void on_lost(void *owner, struct net_client *net, const char *why)
{
    (void)owner;
    die("connection %u was lost: %s", net->id, why);
}

/* ---- setting up ---- */

static void prepare(struct storm *s)
{
    const struct options *o = s->o;
    char user[128];
    struct httpc h;
    char *token;

    httpc_open(&h, &o->target[0]);
    snprintf(user, sizeof(user), "%s-host", o->prefix);
    token = setup_mint(&h, o->api_key, user, "admin");
    setup_room(&h, token, o->prefix);
    for (uint32_t i = 0; i < o->joins; i++) {
        snprintf(user, sizeof(user), "%s-u%u", o->prefix, i);
        s->clients[i].token = setup_mint(&h, o->api_key, user, "member");
        s->clients[i].is_native = i * 100 < o->joins * o->native_percent;
    }
    httpc_close(&h);
    free(token);
}

/* ---- the storm ---- */

static void join(struct storm *s, struct text *request)
{
    uint32_t i = s->n_started++;
    const struct sockaddr_in *addr = &s->o->target[i % s->o->n_targets];

    text_clear(request);
    text_addf(request,
              "GET /ws/room/%s?replay=off%s&token=%s HTTP/1.1\r\n"
              "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: Zmx1eHktbG9hZC1nZW4uMQ==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n",
              s->o->prefix, s->clients[i].is_native ? "&v=1" : "", s->clients[i].token,
              ntohs(addr->sin_port));
    net_connect(s->net, &s->clients[i].net, i, (const struct sockaddr *)addr, sizeof(*addr),
                request->p, request->len);
}

/* Joins at the rate, whatever the server does; the seconds until the last one was in. */
static double run(struct storm *s)
{
    uint64_t start = now_ns(), progress = start;
    struct text request = {0};
    uint32_t seen = 0;

    while (s->n_in < s->o->joins) {
        uint64_t due = (now_ns() - start) * s->o->rate / NS_PER_SEC;

        while (s->n_started < s->o->joins && s->n_started <= due)
            join(s, &request);
        net_turn(s->net, NS_PER_SEC / 1000);
        if (s->n_in != seen) {
            seen = s->n_in;
            progress = now_ns();
        } else if (now_ns() - progress > STALL_NS) {
            die("only %u of %u are in the room", s->n_in, s->o->joins);
        }
    }
    free(request.p);
    return (double)(now_ns() - start) / 1e9;
}

static bool everybody_knows(const struct storm *s)
{
    for (uint32_t i = 0; i < s->o->joins; i++) {
        if (s->clients[i].online != s->o->joins)
            return false;
    }
    return true;
}

/* Until everybody has been told of everybody. */
static void settle(struct storm *s)
{
    uint64_t end = now_ns() + (uint64_t)(s->o->settle_s * 1e9);

    while (!everybody_knows(s) && now_ns() < end)
        net_turn(s->net, NS_PER_SEC / 100);
}

/*
 * Presence frames a second over the whole storm, a second's worth more at its beginning: unlike
 * the most in one second, it is the same when this program, or the machine, falls behind.
 */
static double pace(const struct client *c)
{
    return c->frames / (1 + (double)(c->last_ns - c->first_ns) / 1e9);
}

static bool report(const struct storm *s, double seconds, double all_seconds)
{
    const struct options *o = s->o;
    bool knows = everybody_knows(s);
    uint32_t most = 0;
    double fastest = 0;

    for (uint32_t i = 0; i < o->joins; i++) {
        if (s->clients[i].most > most)
            most = s->clients[i].most;
        if (pace(&s->clients[i]) > fastest)
            fastest = pace(&s->clients[i]);
    }
    printf("{\"joins\":%u,\"nativePercent\":%u,\"seconds\":%.2f,\"settledSeconds\":%.2f,"
           "\"bytes\":%llu,\"bytesPerJoin\":%.0f,\"payloadBytes\":%llu,"
           "\"presenceBytes\":%llu,\"presenceBytesPerJoin\":%.0f,\"membershipBytes\":%llu,"
           "\"frames\":%llu,\"presenceFrames\":%llu,\"presenceFramesPerClient\":%.2f,"
           "\"presenceFramesPerClientAndSecond\":%.2f,\"mostInOneSecond\":%u,"
           "\"fastestPace\":%.2f,\"everybodyKnows\":%s}\n",
           o->joins, o->native_percent, seconds, all_seconds,
           (unsigned long long)net_bytes_in(s->net), (double)net_bytes_in(s->net) / o->joins,
           (unsigned long long)s->payload_bytes, (unsigned long long)s->presence_bytes,
           (double)s->presence_bytes / o->joins, (unsigned long long)s->member_bytes,
           (unsigned long long)s->frames, (unsigned long long)s->presence_frames,
           (double)s->presence_frames / o->joins,
           (double)s->presence_frames / o->joins / all_seconds, most, fastest,
           knows ? "true" : "false");
    return knows && most <= o->most;
}

/* ---- options ---- */

static const char help[] =
    "usage: storm --url http://127.0.0.1:PORT [--url ...] --api-key KEY [options]\n"
    "  --joins N      people who enter (1000), each a user with one socket\n"
    "  --rate N       joins a second (1000)\n"
    "  --native N     percent of the sockets that speak fluxy.v1 (50)\n"
    "  --most N       presence frames that a socket may get in one second (4)\n"
    "  --settle S     seconds to wait until everybody knows of everybody (20)\n"
    "  --prefix TEXT  name of the room, and beginning of each user's (storm)\n";

static void add_target(struct options *o, const char *url)
{
    if (o->n_targets == TARGETS_MAX)
        die("--url: more than %d", TARGETS_MAX);
    setup_address(url, &o->target[o->n_targets++]);
}

static void parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){.prefix = "storm",
                          .joins = 1000,
                          .rate = 1000,
                          .most = 4,
                          .native_percent = 50,
                          .settle_s = 20};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(name, "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        if (!value)
            die("%s: no value, or not known\n%s", name, help);
        if (strcmp(name, "--url") == 0)
            add_target(o, value);
        else if (strcmp(name, "--api-key") == 0)
            o->api_key = value;
        else if (strcmp(name, "--prefix") == 0)
            o->prefix = value;
        else if (strcmp(name, "--joins") == 0)
            o->joins = (uint32_t)tool_number(name, value, 2, 100000);
        else if (strcmp(name, "--rate") == 0)
            o->rate = (uint32_t)tool_number(name, value, 1, 100000);
        else if (strcmp(name, "--native") == 0)
            o->native_percent = (uint32_t)tool_number(name, value, 0, 100);
        else if (strcmp(name, "--most") == 0)
            o->most = (uint32_t)tool_number(name, value, 1, WINDOW_MAX - 1);
        else if (strcmp(name, "--settle") == 0)
            o->settle_s = tool_number(name, value, 0, 600);
        else
            die("%s is not known\n%s", name, help);
    }
    if (o->n_targets == 0 || !o->api_key)
        die("--url and --api-key are needed\n%s", help);
}

int main(int argc, char **argv)
{
    static const struct net_events events = {on_open, on_payload, on_lost};
    struct options o;
    struct storm s = {.o = &o};
    uint64_t start;
    double seconds;
    bool ok;

    parse(&o, argc, argv);
    setup_open_files(o.joins);
    s.clients = must_calloc(o.joins, sizeof(*s.clients));
    for (uint32_t i = 0; i < o.joins; i++)
        s.clients[i].net.fd = -1;
    s.net = net_new(&events, &s, o.joins);
    prepare(&s);
    start = now_ns();
    seconds = run(&s);
    settle(&s);
    ok = report(&s, seconds, (double)(now_ns() - start) / 1e9);
    for (uint32_t i = 0; i < o.joins; i++) {
        net_close(s.net, &s.clients[i].net);
        free(s.clients[i].token);
    }
    net_free(s.net);
    free(s.clients);
    return ok ? 0 : 1;
}
