/*
 * return.c - thousands of clients lose their gateway at once and come back with `lastSeq`: how
 * long until all of them are in again, whether each has everything, and what those notice who
 * stayed at another gateway. `return --help` lists the options; tests/bench/returns runs it.
 *
 * It says "ready" on stderr when the clients may be dropped; that is somebody else's task. The
 * result is one JSON object on stdout; the status is 1 when a client missed something, got
 * something twice, or did not come back in time. With --floor it only opens as many sockets at
 * a floor server: what bare handshakes take.
 */
#include "tests/bench/return.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/histo.h"
#include "tests/bench/httpc.h"

#define OPENING 500 /* handshakes at a time before the storm */
#define CALM_NS (2 * NS_PER_SEC)
#define TURN_NS (NS_PER_SEC / 1000)
#define PROGRESS_NS (60 * NS_PER_SEC)
/* As SDKs do: a random part of a time that doubles. */
#define BACKOFF_FIRST_MS 250
#define BACKOFF_LAST_MS 10000
#define REFUSED_PAUSE_MS 20 /* without back-off; a refused connection costs nobody anything */
#define COMPLAINTS_MAX 5

struct client {
    struct net_client net;
    char *token;     /* owned */
    uint64_t seq, n; /* everything up to these has come */
    uint64_t lost_ns, due_ns;
    uint32_t attempts;
    bool is_in, is_waiting, was_lost;
};

struct herd {
    const struct return_options *o;
    struct net *net;
    struct client *clients; /* owned; o->clients */
    struct histo back;      /* from being dropped to being in again */
    uint32_t n_in, n_lost, complaints;
    uint64_t attempts, refused, replays, first_lost_ns, last_back_ns;
    bool is_storm;
    struct text request;
};

static void complain(struct herd *h, const struct client *c, const char *what, uint64_t a,
                     uint64_t b)
{
    if (h->complaints++ < COMPLAINTS_MAX)
        fprintf(stderr, "return: client %u: %s (%llu, %llu)\n", c->net.id, what,
                (unsigned long long)a, (unsigned long long)b);
}

/* ---- what arrives ---- */

/* All messages of a frame. A replay has each twice, and may begin with some that are known. */
static void take_messages(struct herd *h, struct client *c, const char *p, size_t len)
{
    struct marks marks = {p, p + len};
    uint64_t n, due_ns;

    while (marks_next(&marks, &n, &due_ns)) {
        if (n == c->n + 1)
            c->n = n;
        else if (n > c->n)
            complain(h, c, "a message is missing: has the first, got the second", c->n, n);
    }
}

static void take_replay(struct herd *h, struct client *c, const char *p, size_t len)
{
    uint64_t from = frame_number(p, len, "\"fromSeq\":"),
             to = frame_number(p, len, "\"toSeq\":");

    h->replays++;
    if (memmem(p, len, "\"reset\":true", 12))
        complain(h, c, "its cursor was not accepted", c->seq, to);
    if (from > c->seq)
        complain(h, c, "a replay begins too late", c->seq, from);
    take_messages(h, c, p, len);
    if (to > c->seq)
        c->seq = to;
}

static void take_live(struct herd *h, struct client *c, const char *p, size_t len)
{
    uint64_t seq = frame_number(p, len, "\"seq\":"), to = frame_number(p, len, "\"toSeq\":");

    if (seq == 0)
        return;
    if (seq <= c->seq)
        complain(h, c, "came twice", c->seq, seq);
    else if (seq > c->seq + 1)
        complain(h, c, "a gap", c->seq, seq);
    take_messages(h, c, p, len);
    c->seq = to > seq ? to : seq;
}

static void on_in(struct herd *h, struct client *c, const char *p, size_t len)
{
    uint64_t now = net_read_at_ns(h->net);

    if (!c->was_lost) /* the first time: nothing was asked for of before */
        c->seq = frame_number(p, len, "\"currentSeq\":");
    c->is_in = true;
    c->attempts = 0;
    h->n_in++;
    if (!c->was_lost)
        return;
    histo_add(&h->back, now - c->lost_ns);
    h->last_back_ns = now;
}

static void on_payload(void *owner, struct net_client *net, const char *p, size_t len)
{
    struct herd *h = owner;
    struct client *c = &h->clients[net->id];

    if (frame_is(p, len, "subscription_succeeded"))
        on_in(h, c, p, len);
    else if (frame_is(p, len, "replay"))
        take_replay(h, c, p, len);
    else if (frame_is(p, len, "message") || frame_is(p, len, "membership") ||
             frame_is(p, len, "skip"))
        take_live(h, c, p, len);
    else if (frame_is(p, len, "error"))
        complain(h, c, "an error frame", 0, 0);
}

static void on_open(void *owner, struct net_client *net)
{
    struct herd *h = owner;

    if (!h->o->floor.sin_port)
        return;
    h->clients[net->id].is_in = true;
    h->n_in++;
    h->last_back_ns = net_read_at_ns(h->net);
}

static uint64_t backoff_ns(const struct herd *h, uint32_t attempt)
{
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << (attempt < 10 ? attempt : 10);

    if (!h->o->has_jitter)
        return attempt > 0 ? REFUSED_PAUSE_MS * (NS_PER_SEC / 1000) : 0;
    if (ms > BACKOFF_LAST_MS)
        ms = BACKOFF_LAST_MS;
    return (uint64_t)((double)rand() / ((double)RAND_MAX + 1) * (double)ms * 1e6);
}

static void on_lost(void *owner, struct net_client *net, const char *why)
{
    struct herd *h = owner;
    struct client *c = &h->clients[net->id];
    uint64_t now = now_ns();

    if (!h->is_storm)
        die("connection %u was lost: %s", net->id, why);
    if (c->is_in) {
        h->n_in--;
        h->n_lost += !c->was_lost;
        c->was_lost = true;
        c->lost_ns = now;
        if (h->first_lost_ns == 0)
            h->first_lost_ns = now;
    } else {
        h->refused++;
    }
    c->is_in = false;
    c->is_waiting = true;
    c->due_ns = now + backoff_ns(h, c->attempts++);
}

/* ---- setting up ---- */

static char *mint(struct httpc *http, const struct return_options *o, const char *user)
{
    char header[256], body[256];
    const char *answer, *token;
    int status;

    snprintf(header, sizeof(header), "X-Fluxy-Api-Key: %s\r\n", o->api_key);
    snprintf(body, sizeof(body), "{\"userId\":\"%s\",\"ttlSeconds\":86400}", user);
    status = httpc_post(http, "/auth/token", header, body, &answer);
    token = strstr(answer, "\"token\":");
    if (status != 200 || !token || !(token = strchr(token + 8, '"')))
        die("POST /auth/token for %s: %d %.200s", user, status, answer);
    return strndup(token + 1, strcspn(token + 1, "\""));
}

/* A room of its writer (who makes it), its reader and the clients i, i + rooms, ... */
static void make_room(struct httpc *http, const struct return_options *o, uint32_t room,
                      const char *token)
{
    struct text header = {0}, body = {0};
    const char *answer;
    int status;

    text_addf(&header, "Authorization: Bearer %s\r\n", token);
    text_addf(&body, "{\"id\":\"%s-r%u\",\"name\":\"r\",\"type\":\"group\",\"members\":[",
              o->prefix, room);
    text_addf(&body, "{\"userId\":\"%s-s%u\",\"role\":\"member\"}", o->prefix, room + o->rooms);
    for (uint32_t i = room; i < o->clients; i += o->rooms)
        text_addf(&body, ",{\"userId\":\"%s-u%u\",\"role\":\"member\"}", o->prefix, i);
    text_addf(&body, "]}");
    status = httpc_post(http, "/rooms", header.p, body.p, &answer);
    if (status != 200)
        die("POST /rooms: %d %.200s", status, answer);
    free(header.p);
    free(body.p);
}

/* Returns the tokens of those who stay. */
static char **prepare(struct herd *h)
{
    const struct return_options *o = h->o;
    char **tokens = must_calloc(2 * o->rooms, sizeof(*tokens));
    struct httpc http;
    char user[128];

    httpc_open(&http, &o->stay.addr[0]);
    for (uint32_t i = 0; i < 2 * o->rooms; i++) {
        snprintf(user, sizeof(user), "%s-s%u", o->prefix, i);
        tokens[i] = mint(&http, o, user);
    }
    for (uint32_t i = 0; i < o->rooms; i++)
        make_room(&http, o, i, tokens[i]);
    for (uint32_t i = 0; i < o->clients; i++) {
        snprintf(user, sizeof(user), "%s-u%u", o->prefix, i);
        h->clients[i].token = mint(&http, o, user);
    }
    httpc_close(&http);
    return tokens;
}

/* ---- coming and coming back ---- */

static void connect_one(struct herd *h, uint32_t i)
{
    const struct return_options *o = h->o;
    struct client *c = &h->clients[i];
    const struct targets *targets = c->was_lost ? &o->to : &o->from;
    const struct sockaddr_in *addr = &targets->addr[(i + c->attempts) % targets->n];

    if (o->floor.sin_port)
        addr = &o->floor;
    h->attempts++;
    c->is_waiting = false;
    socket_request(&h->request, o, addr, i % o->rooms, c->token, c->was_lost, c->seq);
    net_connect(h->net, &c->net, i, (const struct sockaddr *)addr, sizeof(*addr), h->request.p,
                h->request.len);
}

static void gather(struct herd *h, uint32_t opening)
{
    uint64_t progress = now_ns();
    uint32_t started = 0, seen = 0;

    while (h->n_in < h->o->clients) {
        while (started < h->o->clients && started - h->n_in < opening)
            connect_one(h, started++);
        net_turn(h->net, TURN_NS);
        if (h->n_in != seen) {
            seen = h->n_in;
            progress = now_ns();
        } else if (now_ns() - progress > PROGRESS_NS) {
            die("only %u of %u clients are in", h->n_in, h->o->clients);
        }
    }
}

static void turns(struct herd *h, uint64_t ns)
{
    for (uint64_t end = now_ns() + ns; now_ns() < end;)
        net_turn(h->net, TURN_NS);
}

static void reconnect_due(struct herd *h)
{
    uint64_t now = now_ns();

    for (uint32_t i = 0; i < h->o->clients; i++) {
        if (h->clients[i].is_waiting && h->clients[i].due_ns <= now)
            connect_one(h, i);
    }
}

/* Until all have been dropped and are back; false: not in time. */
static bool ride_out(struct herd *h)
{
    uint64_t end = now_ns() + (uint64_t)(h->o->timeout_s * 1e9);

    while (h->n_lost < h->o->clients || h->n_in < h->o->clients) {
        reconnect_due(h);
        net_turn(h->net, TURN_NS);
        if (now_ns() > end) {
            fprintf(stderr, "return: %u dropped, %u of %u in\n", h->n_lost, h->n_in,
                    h->o->clients);
            return false;
        }
    }
    return true;
}

static bool has_all(const struct herd *h, const struct stay_report *stay)
{
    for (uint32_t i = 0; i < h->o->clients; i++) {
        if (h->clients[i].n != stay->last_n[i % h->o->rooms])
            return false;
    }
    return true;
}

/* Every client must have the last message of its room. */
static bool settle(struct herd *h, const struct stay_report *stay)
{
    uint64_t end = now_ns() + (uint64_t)(h->o->timeout_s * 1e9);

    while (!has_all(h, stay)) {
        reconnect_due(h);
        net_turn(h->net, TURN_NS);
        if (now_ns() < end)
            continue;
        for (uint32_t i = 0; i < h->o->clients; i++) {
            if (h->clients[i].n != stay->last_n[i % h->o->rooms])
                complain(h, &h->clients[i], "does not have the last message", h->clients[i].n,
                         stay->last_n[i % h->o->rooms]);
        }
        return false;
    }
    return true;
}

/* ---- the result ---- */

static void print_stay(const char *name, const struct stay_figures *f, uint32_t n_targets)
{
    printf(",\"%s\":{\"messages\":%llu,\"p50Ms\":%.1f,\"p99Ms\":%.1f,\"maxMs\":%.1f,"
           "\"generatorP99Ms\":%.1f,\"p99MsByGateway\":[",
           name, (unsigned long long)f->messages, f->p50_ms, f->p99_ms, f->max_ms,
           f->own_p99_ms);
    for (uint32_t i = 0; i < n_targets; i++)
        printf("%s%.1f", i ? "," : "", f->p99_at_ms[i]);
    printf("]}");
}

static bool run_herd(struct herd *h)
{
    char **tokens = prepare(h);
    struct stay *stay;
    struct stay_report *report;
    bool is_back, ok;

    gather(h, OPENING);
    stay = stay_start(h->o, tokens);
    turns(h, CALM_NS);
    h->is_storm = true;
    stay_storm(stay);
    fputs("ready\n", stderr);
    is_back = ride_out(h);
    report = stay_end(stay);
    ok = is_back && settle(h, report) && h->complaints == 0;
    printf("{\"clients\":%u,\"rooms\":%u,\"backoff\":\"%s\",\"ok\":%s,\"complaints\":%u,"
           "\"secondsUntilAllAreBack\":%.3f,\"p50Ms\":%.0f,\"p99Ms\":%.0f,\"attempts\":%llu,"
           "\"failedAttempts\":%llu,\"replays\":%llu",
           h->o->clients, h->o->rooms, h->o->has_jitter ? "jitter" : "none",
           ok ? "true" : "false", h->complaints,
           (double)(h->last_back_ns - h->first_lost_ns) / 1e9,
           (double)histo_quantile(&h->back, 0.5) / 1e6,
           (double)histo_quantile(&h->back, 0.99) / 1e6, (unsigned long long)h->attempts,
           (unsigned long long)h->refused, (unsigned long long)h->replays);
    print_stay("stayedBefore", &report->calm, h->o->stay.n);
    print_stay("stayedMeanwhile", &report->storm, h->o->stay.n);
    printf("}\n");
    for (uint32_t i = 0; i < 2 * h->o->rooms; i++)
        free(tokens[i]);
    free(tokens);
    free(report);
    return ok;
}

static void run_floor(struct herd *h)
{
    uint64_t start = now_ns();

    gather(h, h->o->clients);
    printf("{\"clients\":%u,\"floorSeconds\":%.3f}\n", h->o->clients,
           (double)(h->last_back_ns - start) / 1e9);
}

/* ---- options ---- */

static const char help[] =
    "usage: return --from http://ADDRESS:PORT... --stay http://... --api-key KEY [options]\n"
    "       return --floor http://ADDRESS:PORT [--clients N]\n"
    "  --from URL     a gateway that the clients are at in the beginning; several times\n"
    "  --to URL       one that they return to (those of --from); several times\n"
    "  --stay URL     one that some talk over all the time; several times\n"
    "  --clients N    (10000)\n"
    "  --rooms N      (200) at most 98 clients in each\n"
    "  --rate N       messages a second of those who stay (200)\n"
    "  --backoff W    jitter (as SDKs do; the default) or none\n"
    "  --timeout S    for all to be back (120)\n"
    "  --prefix TEXT  of rooms and users (return)\n";

static void parse_url(const char *option, const char *url, struct sockaddr_in *ret_addr)
{
    static const char scheme[] = "http://";
    char host[64];
    unsigned port;

    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 ||
        sscanf(url + sizeof(scheme) - 1, "%63[0-9.]:%u", host, &port) != 2 || port > 65535)
        die("%s: '%s' is not http://ADDRESS:PORT", option, url);
    ret_addr->sin_family = AF_INET;
    ret_addr->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &ret_addr->sin_addr) != 1)
        die("%s: '%s' is no address", option, host);
}

static void add_target(struct targets *targets, const char *option, const char *url)
{
    if (targets->n == TARGETS_MAX)
        die("%s: too many", option);
    parse_url(option, url, &targets->addr[targets->n++]);
}

static void parse_option(struct return_options *o, const char *name, const char *value)
{
    if (strcmp(name, "--from") == 0)
        add_target(&o->from, name, value);
    else if (strcmp(name, "--to") == 0)
        add_target(&o->to, name, value);
    else if (strcmp(name, "--stay") == 0)
        add_target(&o->stay, name, value);
    else if (strcmp(name, "--floor") == 0)
        parse_url(name, value, &o->floor);
    else if (strcmp(name, "--api-key") == 0)
        o->api_key = value;
    else if (strcmp(name, "--prefix") == 0)
        o->prefix = value;
    else if (strcmp(name, "--clients") == 0)
        o->clients = (uint32_t)tool_number(name, value, 1, 100000);
    else if (strcmp(name, "--rooms") == 0)
        o->rooms = (uint32_t)tool_number(name, value, 1, 10000);
    else if (strcmp(name, "--rate") == 0)
        o->rate = (uint32_t)tool_number(name, value, 1, 100000);
    else if (strcmp(name, "--timeout") == 0)
        o->timeout_s = tool_number(name, value, 1, 3600);
    else if (strcmp(name, "--backoff") == 0 && strcmp(value, "none") == 0)
        o->has_jitter = false;
    else if (strcmp(name, "--backoff") != 0 || strcmp(value, "jitter") != 0)
        die("%s %s is not known\n%s", name, value, help);
}

static void parse(struct return_options *o, int argc, char **argv)
{
    *o = (struct return_options){.prefix = "return",
                                 .clients = 10000,
                                 .rooms = 200,
                                 .rate = 200,
                                 .has_jitter = true,
                                 .timeout_s = 120};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        if (i + 1 == argc)
            die("%s: no value\n%s", argv[i], help);
        parse_option(o, argv[i], argv[i + 1]);
    }
    if (o->to.n == 0)
        o->to = o->from;
    if (!o->floor.sin_port && (o->from.n == 0 || o->stay.n == 0 || !o->api_key))
        die("--from, --stay and --api-key are needed\n%s", help);
    if (!o->floor.sin_port && o->clients / o->rooms > 97)
        die("more than 98 clients in a room: they are made in one call\n%s", help);
}

static void raise_file_limit(uint32_t clients)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* checked by what follows */
    if (files.rlim_max < clients + 32)
        die("%u connections need more open files than the limit of %llu", clients,
            (unsigned long long)files.rlim_max);
}

int main(int argc, char **argv)
{
    static const struct net_events events = {on_open, on_payload, on_lost};
    static struct herd h;
    struct return_options o;
    bool ok = true;

    parse(&o, argc, argv);
    raise_file_limit(o.clients);
    h.o = &o;
    h.clients = must_calloc(o.clients, sizeof(*h.clients));
    for (uint32_t i = 0; i < o.clients; i++)
        h.clients[i].net.fd = -1;
    h.net = net_new(&events, &h, o.clients);
    if (o.floor.sin_port)
        run_floor(&h);
    else
        ok = run_herd(&h);
    for (uint32_t i = 0; i < o.clients; i++) {
        net_close(h.net, &h.clients[i].net);
        free(h.clients[i].token);
    }
    net_free(h.net);
    free(h.clients);
    free(h.request.p);
    return ok ? 0 : 1;
}
