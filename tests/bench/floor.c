/*
 * floor.c - options, accepting, and the turn: read everyone who is readable, flush what became
 * due, hand the next batch to the store.
 */
#include "tests/bench/floor.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "tests/bench/tool.h"

#define READ_BYTES (256u * 1024)
#define ACCEPTS_PER_TURN 256
#define MAX_EVENTS 1024

static const char usage_text[] =
    "usage: floor [--port N] [--batch] [--durable CONNINFO] [--seconds N]\n"
    "             [--drop N] [--double N] [--swap N]\n"
    "\n"
    "  --port N            0 lets the kernel choose (default); printed as JSON with the pid\n"
    "  --batch             one writev per recipient and turn instead of one send per message\n"
    "  --durable CONNINFO  as --batch; a frame goes out after the commit that holds it\n"
    "  --seconds N         end after this long (3600)\n"
    "  --drop, --double, --swap N   do that to every Nth delivery (not with --batch)\n";

static char read_buf[READ_BYTES];

static void drop_client(struct floor *f, struct floor_client *c)
{
    if (f->held_for == c)
        f->held_for = NULL;
    floor_leave(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->fd = -1; /* kept: an event of this turn may still name it; a run leaks little */
}

static void accept_clients(struct floor *f)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct epoll_event ev = {.events = EPOLLIN};
        struct floor_client *c;
        int one = 1, fd = accept4(f->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
        c = must_calloc(1, sizeof(*c));
        c->fd = fd;
        ev.data.ptr = c;
        if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
            die("epoll_ctl: %s", strerror(errno));
    }
}

static void keep_rest(struct floor_client *c, const char *p, size_t len)
{
    if (len > c->in_cap) {
        c->in_cap = (uint32_t)len * 2;
        c->in = must_realloc(c->in, c->in_cap);
    }
    if (len)
        memcpy(c->in, p, len);
    c->in_len = (uint32_t)len;
}

static void read_client(struct floor *f, struct floor_client *c)
{
    size_t len = c->in_len, used = 0;
    ssize_t n;

    if (len)
        memcpy(read_buf, c->in, len);
    n = recv(c->fd, read_buf + len, READ_BYTES - len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop_client(f, c);
        return;
    }
    len += (size_t)n;
    if (!c->upgraded)
        used = floor_upgrade(f, c, read_buf, len);
    if (c->upgraded && used != SIZE_MAX) {
        size_t more = floor_frames(f, c, read_buf + used, len - used);

        used = more == SIZE_MAX ? SIZE_MAX : used + more;
    }
    if (used == SIZE_MAX || len - used == READ_BYTES)
        drop_client(f, c);
    else
        keep_rest(c, read_buf + used, len - used);
}

static void watch_store(struct floor *f, bool write)
{
    static bool added, writing;
    struct epoll_event ev = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = f->store};

    if (added && write == writing)
        return;
    if (epoll_ctl(f->epoll_fd, added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, floor_store_fd(f->store),
                  &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
    added = true;
    writing = write;
}

static void turn(struct floor *f)
{
    static struct epoll_event ready[MAX_EVENTS];
    int n = epoll_wait(f->epoll_fd, ready, MAX_EVENTS, -1);

    for (int i = 0; i < n; i++) {
        struct floor_client *c = ready[i].data.ptr;

        if (!c) {
            accept_clients(f);
        } else if (ready[i].data.ptr == f->store) {
            floor_store_on_event(f, f->store);
        } else if (c->fd >= 0) {
            if (ready[i].events & EPOLLOUT)
                floor_flush_client(f, c);
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_client(f, c);
        }
    }
    floor_flush_rooms(f);
    if (f->store)
        watch_store(f, floor_store_pump(f->store));
}

static void listen_on(struct floor *f, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(addr);
    struct epoll_event ev = {.events = EPOLLIN};
    int one = 1;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->listen_fd < 0 ||
        setsockopt(f->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(f->listen_fd, (struct sockaddr *)&addr, len) < 0 ||
        listen(f->listen_fd, SOMAXCONN) < 0 ||
        getsockname(f->listen_fd, (struct sockaddr *)&addr, &len) < 0)
        die("port %u: %s", port, strerror(errno));
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->listen_fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
    printf("{\"port\":%u,\"pid\":%d}\n", ntohs(addr.sin_port), (int)getpid());
    fflush(stdout);
}

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},    {"batch", no_argument, NULL, 'b'},
    {"durable", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 't'},
    {"drop", required_argument, NULL, 'd'},    {"double", required_argument, NULL, 'u'},
    {"swap", required_argument, NULL, 'o'},    {NULL, 0, NULL, 0},
};

static uint16_t parse_options(struct floor *f, int argc, char **argv)
{
    uint16_t port = 0;
    unsigned seconds = 3600;
    int id;

    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == 'p')
            port = (uint16_t)tool_number("--port", optarg, 0, UINT16_MAX);
        else if (id == 'b')
            f->batch = true;
        else if (id == 'c')
            f->store = floor_store_new(optarg);
        else if (id == 't')
            seconds = (unsigned)tool_number("--seconds", optarg, 1, 1e6);
        else if (id == 'd')
            f->faults.drop_every = (uint64_t)tool_number("--drop", optarg, 1, 1e9);
        else if (id == 'u')
            f->faults.double_every = (uint64_t)tool_number("--double", optarg, 1, 1e9);
        else if (id == 'o')
            f->faults.swap_every = (uint64_t)tool_number("--swap", optarg, 1, 1e9);
        else {
            fputs(usage_text, stderr);
            exit(2);
        }
    }
    if (f->store)
        f->batch = true;
    (void)alarm(seconds);
    return port;
}

int main(int argc, char **argv)
{
    static struct floor f;
    struct rlimit files;
    uint16_t port;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlive the script that started us */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* accept() tells when it was not enough */
    }
    f.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (f.epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
    port = parse_options(&f, argc, argv);
    listen_on(&f, port);
    for (;;)
        turn(&f);
}
