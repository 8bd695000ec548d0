/*
 * connect.c - outgoing connections: env->connect() of the loop.
 *
 * A name is resolved by libevent's resolver, its addresses are tried one after
 * the other (at most CONNECT_ADDRESSES_MAX), all within one deadline. With a
 * context set by loop_set_link_tls() the handshake belongs to it too.
 */
#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/net/addr.h"
#include "common/net/stream_tcp_internal.h"

struct connect_job {
    struct stream_tcp *stream; /* NULL: abandoned, only waits for the resolver to let go */
    struct evdns_getaddrinfo_request *query;
    uint16_t port;
    char host[ADDR_HOST_MAX];
    struct addr addrs[CONNECT_ADDRESSES_MAX];
    size_t n_addrs, next;
    int last_err;        /* of the address tried last */
    struct later report; /* a failure that was known before connect_start() returned */
};

static enum stream_end connect_end_of(int err)
{
    switch (err) {
    case ECONNREFUSED:
        return STREAM_END_REFUSED;
    case ECONNRESET:
        return STREAM_END_RESET;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return STREAM_END_TIMEOUT;
    default:
        return STREAM_END_ERROR;
    }
}

/* 0: under way, or the failure is noted in *ret_err; <0: out of resources of our own. */
static int connect_try(struct stream_tcp *s, const struct addr *addr, int *ret_err)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    *ret_err = 0;
    if (fd < 0)
        return -errno;
    if (connect(fd, &addr->sa, addr->len) < 0 && errno != EINPROGRESS) {
        *ret_err = errno;
        close(fd);
        return 0;
    }
    r = stream_tcp_attach_fd(
        s, fd); /* connected already: the socket is writable, which the next turn says */
    if (r < 0)
        stream_tcp_detach_fd(s);
    return r;
}

/* Goes on with the next address; without one, the last failure is the outcome. True: under way.
 */
static bool connect_next(struct connect_job *job)
{
    while (job->next < job->n_addrs) {
        int r = connect_try(job->stream, &job->addrs[job->next++], &job->last_err);

        if (r < 0)
            job->last_err = -r;
        else if (job->last_err == 0)
            return true;
    }
    return false;
}

static void connect_on_report(struct later *later, void *arg)
{
    struct connect_job *job = arg;

    (void)later;
    stream_tcp_end(job->stream, connect_end_of(job->last_err));
}

void connect_on_result(struct connect_job *job, int err)
{
    struct stream_tcp *s = job->stream;

    if (err) {
        job->last_err = err;
        stream_tcp_detach_fd(s);
        if (!connect_next(job))
            stream_tcp_end(s, connect_end_of(job->last_err));
        return;
    }
    s->connect = NULL;
    job->stream = NULL;
    stream_tcp_connected(s, s->loop->link_tls, job->host);
    free(job);
}

void connect_abandon(struct connect_job *job)
{
    if (job->stream)
        later_cancel(&job->report);
    job->stream = NULL;
    if (job->query)
        evdns_getaddrinfo_cancel(job->query); /* calls back, which frees the job */
    else
        free(job);
}

static void connect_take_addresses(struct connect_job *job, const struct evutil_addrinfo *res)
{
    for (; res && job->n_addrs < CONNECT_ADDRESSES_MAX; res = res->ai_next) {
        struct addr *addr = &job->addrs[job->n_addrs];

        if (res->ai_addrlen > sizeof(addr->in6))
            continue;
        memcpy(&addr->in6, res->ai_addr, res->ai_addrlen);
        addr->len = res->ai_addrlen;
        addr->in.sin_port = htons(job->port); /* at the same place in both families */
        job->n_addrs++;
    }
}

/* libevent: the name is resolved, or cannot be, or the job was abandoned. */
static void connect_on_resolved(int result, struct evutil_addrinfo *res, void *arg)
{
    struct connect_job *job = arg;

    job->query = NULL;
    if (!job->stream) {
        if (res)
            evutil_freeaddrinfo(res);
        free(job);
        return;
    }
    loop_touch(job->stream->loop);
    if (result == 0)
        connect_take_addresses(job, res);
    if (res)
        evutil_freeaddrinfo(res);
    job->last_err = EHOSTUNREACH;
    if (!connect_next(
            job)) /* reported later: the resolver may answer before connect_start() returns */
        env_later(&job->stream->loop->env, &job->report);
}

static int connect_resolve(struct connect_job *job, struct loop *loop)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = EVUTIL_AI_ADDRCONFIG,
    };
    struct evdns_getaddrinfo_request *query;

    if (!loop->dns)
        loop->dns = evdns_base_new(loop->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!loop->dns)
        return -EIO;
    query = evdns_getaddrinfo(loop->dns, job->host, NULL, &hints, connect_on_resolved, job);
    if (query)
        job->query = query; /* NULL: it has called back already */
    return 0;
}

int connect_start(struct env *env, const char *address, const struct stream_events *events,
                  void *owner, struct stream **ret_stream)
{
    struct loop *loop = loop_of(env);
    struct connect_job *job = calloc(1, sizeof(*job));
    struct stream_tcp *s;
    int r;

    if (!job)
        return -ENOMEM;
    r = addr_split(slice_str(address), job->host, &job->port);
    if (r == 0)
        r = stream_tcp_new_unconnected(loop, events, owner, &s);
    if (r < 0) {
        free(job);
        return r;
    }
    job->stream = s;
    later_init(&job->report, connect_on_report, job);
    s->connect = job;
    r = env_timer(env, &s->deadline, CONNECT_TIMEOUT_MS);
    if (r < 0)
        goto fail;
    if (addr_from_host(job->host, job->port, &job->addrs[0]) == 0) {
        job->n_addrs = 1;
        if (!connect_next(job))
            env_later(env, &job->report);
    } else {
        r = connect_resolve(job, loop);
        if (r < 0)
            goto fail;
    }
    *ret_stream = &s->stream;
    return 0;

fail:
    stream_set_events(&s->stream, NULL, NULL);
    stream_close(&s->stream, false);
    return r;
}
