/*
 * return_stay.c - clients who keep their gateway while others lose theirs: one writer and one
 * reader in each room, in a process of their own, so that the work of coming back is not on
 * their clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/histo.h"
#include "tests/bench/return.h"

#define TURN_NS (NS_PER_SEC / 2000)
#define ENTER_NS (60 * NS_PER_SEC)
#define LAST_WORDS_NS (20 * NS_PER_SEC)

struct stay {
    pid_t pid;
    int to_child, from_child;
    uint32_t rooms;
};

struct room {
    uint64_t sent, seen[2]; /* messages written; by writer and reader received */
};

struct phase {
    struct histo late, own;
    struct histo late_at[TARGETS_MAX]; /* by the gateway that they are at */
    uint64_t messages, frames;
};

struct stayers {
    const struct return_options *o;
    struct net *net;
    struct net_client *clients; /* 2 * rooms: writers, readers */
    struct room *rooms;
    struct phase *phase; /* the current one */
    uint32_t n_in;
};

/* ---- the child ---- */

static void on_open(void *owner, struct net_client *c)
{
    (void)owner;
    (void)c;
}

static void on_lost(void *owner, struct net_client *c, const char *why)
{
    (void)owner;
    die("a client that stayed (%u) was lost: %s", c->id, why);
}

static void on_payload(void *owner, struct net_client *c, const char *p, size_t len)
{
    struct stayers *s = owner;
    struct room *room = &s->rooms[c->id % s->o->rooms];
    uint64_t *seen = &room->seen[c->id / s->o->rooms];
    struct marks marks = {p, p + len};
    uint64_t n, due_ns, at_ns = net_read_at_ns(s->net);

    s->phase->frames++;
    if (frame_is(p, len, "subscription_succeeded"))
        s->n_in++;
    if (frame_is(p, len, "error"))
        die("an error frame for one who stayed: %.*s", (int)len, p);
    if (!frame_is(p, len, "message") || !marks_next(&marks, &n, &due_ns))
        return;
    if (n != *seen + 1)
        die("one who stayed (%u) got message %llu behind %llu", c->id, (unsigned long long)n,
            (unsigned long long)*seen);
    *seen = n;
    histo_add(&s->phase->late, at_ns - due_ns);
    histo_add(&s->phase->late_at[c->id % s->o->rooms % s->o->stay.n], at_ns - due_ns);
}

static void say(struct stayers *s, uint32_t room, uint64_t due_ns)
{
    char json[256];
    int len = snprintf(
        json, sizeof(json), "{\"type\":\"message\",\"content\":\"~~%u:%llu:%llu~~ and so on\"}",
        room, (unsigned long long)++s->rooms[room].sent, (unsigned long long)due_ns);

    s->phase->messages++;
    histo_add(&s->phase->own, now_ns() - due_ns);
    net_send(s->net, &s->clients[room], json, (size_t)len);
}

static bool everything_has_come(const struct stayers *s)
{
    for (uint32_t i = 0; i < s->o->rooms; i++) {
        if (s->rooms[i].seen[0] != s->rooms[i].sent || s->rooms[i].seen[1] != s->rooms[i].sent)
            return false;
    }
    return true;
}

static void enter_all(struct stayers *s, char **tokens)
{
    const struct return_options *o = s->o;
    uint64_t end = now_ns() + ENTER_NS;
    struct text request = {0};

    for (uint32_t i = 0; i < 2 * o->rooms; i++) {
        const struct sockaddr_in *addr = &o->stay.addr[i % o->stay.n];

        socket_request(&request, o, addr, i % o->rooms, tokens[i], false, 0);
        net_connect(s->net, &s->clients[i], i, (const struct sockaddr *)addr, sizeof(*addr),
                    request.p, request.len);
        net_turn(s->net, 0);
    }
    while (s->n_in < 2 * o->rooms) {
        net_turn(s->net, NS_PER_SEC / 100);
        if (now_ns() > end)
            die("only %u of %u who stay are in their rooms", s->n_in, 2 * o->rooms);
    }
    free(request.p);
}

static struct stay_figures figures_of(const struct phase *p, uint32_t n_targets)
{
    struct stay_figures figures = {.messages = p->messages,
                                   .frames = p->frames,
                                   .p50_ms = (double)histo_quantile(&p->late, 0.5) / 1e6,
                                   .p99_ms = (double)histo_quantile(&p->late, 0.99) / 1e6,
                                   .max_ms = (double)p->late.max_ns / 1e6,
                                   .own_p99_ms = (double)histo_quantile(&p->own, 0.99) / 1e6};

    for (uint32_t i = 0; i < n_targets; i++)
        figures.p99_at_ms[i] = (double)histo_quantile(&p->late_at[i], 0.99) / 1e6;
    return figures;
}

static void write_all(int fd, const void *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno != EINTR)
            die("write: %s", strerror(errno));
        if (n > 0) {
            p = (const char *)p + n;
            len -= (size_t)n;
        }
    }
}

/* Until the parent says the next word; talks meanwhile. */
static void talk(struct stayers *s, int orders, char until)
{
    uint64_t gap = NS_PER_SEC / s->o->rate, due = now_ns();
    uint32_t room = 0;
    char word = 0;

    while (read(orders, &word, 1) != 1 || word != until) {
        for (; due <= now_ns(); due += gap)
            say(s, room++ % s->o->rooms, due);
        net_turn(s->net, TURN_NS);
    }
}

__attribute__((noreturn)) static void run_child(const struct return_options *o, char **tokens,
                                                int orders, int answers)
{
    static const struct net_events events = {on_open, on_payload, on_lost};
    struct phase *phases = must_calloc(2, sizeof(*phases));
    struct stayers s = {.o = o, .phase = phases};
    struct stay_figures figures;
    uint64_t end;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    s.clients = must_calloc(2 * o->rooms, sizeof(*s.clients));
    s.rooms = must_calloc(o->rooms, sizeof(*s.rooms));
    s.net = net_new(&events, &s, 2 * o->rooms);
    enter_all(&s, tokens);
    write_all(answers, "r", 1);
    if (fcntl(orders, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl: %s", strerror(errno));
    talk(&s, orders, 's');
    s.phase = &phases[1];
    talk(&s, orders, 'e');
    end = now_ns() + LAST_WORDS_NS;
    while (!everything_has_come(&s)) {
        net_turn(s.net, TURN_NS);
        if (now_ns() > end)
            die("not everything has come to those who stayed");
    }
    for (int i = 0; i < 2; i++) {
        figures = figures_of(&phases[i], o->stay.n);
        write_all(answers, &figures, sizeof(figures));
    }
    for (uint32_t i = 0; i < o->rooms; i++)
        write_all(answers, &s.rooms[i].sent, sizeof(s.rooms[i].sent));
    exit(0);
}

/* ---- the parent's side ---- */

static void read_all(struct stay *stay, void *p, size_t len)
{
    while (len > 0) {
        ssize_t n = read(stay->from_child, p, len);

        if (n == 0 || (n < 0 && errno != EINTR))
            die("the clients who stayed have ended early");
        if (n > 0) {
            p = (char *)p + n;
            len -= (size_t)n;
        }
    }
}

struct stay *stay_start(const struct return_options *o, char **tokens)
{
    struct stay *stay = must_calloc(1, sizeof(*stay));
    int orders[2], answers[2];
    char word;

    if (pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
        die("pipe: %s", strerror(errno));
    (void)fflush(NULL);
    stay->pid = fork();
    if (stay->pid < 0)
        die("fork: %s", strerror(errno));
    if (stay->pid == 0) {
        close(orders[1]);
        close(answers[0]);
        run_child(o, tokens, orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    stay->to_child = orders[1];
    stay->from_child = answers[0];
    stay->rooms = o->rooms;
    read_all(stay, &word, 1);
    return stay;
}

void stay_storm(struct stay *stay)
{
    write_all(stay->to_child, "s", 1);
}

struct stay_report *stay_end(struct stay *stay)
{
    size_t words = stay->rooms * sizeof(uint64_t);
    struct stay_report *report = must_calloc(1, sizeof(*report) + words);
    int status;

    write_all(stay->to_child, "e", 1);
    read_all(stay, &report->calm, sizeof(report->calm));
    read_all(stay, &report->storm, sizeof(report->storm));
    read_all(stay, report->last_n, words);
    close(stay->to_child);
    close(stay->from_child);
    if (waitpid(stay->pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the clients who stayed have failed");
    free(stay);
    return report;
}
