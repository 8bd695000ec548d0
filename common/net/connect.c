/*
 * connect.c - outgoing connections: env->connect() of the loop, and
 * loop_connect().
 *
 * The addresses of a name are tried one after the other, all within one
 * deadline. The TLS handshake belongs to it too.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/net/resolve.h"
#include "common/net/stream_tcp_internal.h"

struct connect_job {
    struct stream_tcp *stream;
    struct tls_ctx *tls;     /* borrowed; NULL: plain */
    struct resolve *resolve; /* while under way */
    char host[ADDR_HOST_MAX];
    struct addr addrs[CONNECT_ADDRESSES_MAX];
    size_t n_addrs, next;
    int last_err; /* of the address tried last */
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
        s, fd); /* connected already: the next turn says that it is writable */
    if (r < 0)
        stream_tcp_detach_fd(s);
    return r;
}

/* Goes on with the next address; without one the last failure is the outcome, and the stream
 * ends. */
static void connect_next(struct connect_job *job)
{
    while (job->next < job->n_addrs) {
        int r = connect_try(job->stream, &job->addrs[job->next++], &job->last_err);

        if (r < 0)
            job->last_err = -r;
        else if (job->last_err == 0)
            return;
    }
    stream_tcp_end(job->stream, connect_end_of(job->last_err));
}

void connect_on_result(struct connect_job *job, int err)
{
    struct stream_tcp *s = job->stream;

    if (err) {
        job->last_err = err;
        stream_tcp_detach_fd(s);
        connect_next(job);
        return;
    }
    s->connect = NULL;
    stream_tcp_connected(s, job->tls, job->host);
    free(job);
}

void connect_abandon(struct connect_job *job)
{
    resolve_cancel(job->resolve);
    free(job);
}

static void connect_on_resolved(void *arg, int r, const struct addr *addrs, size_t n)
{
    struct connect_job *job = arg;

    job->resolve = NULL;
    job->last_err = -r;
    job->n_addrs = n;
    memcpy(job->addrs, addrs, n * sizeof(*addrs));
    connect_next(job);
}

int loop_connect(struct loop *loop, const char *address, struct tls_ctx *tls,
                 const struct stream_events *events, void *owner, struct stream **ret_stream)
{
    struct connect_job *job = calloc(1, sizeof(*job));
    struct stream_tcp *s;
    uint16_t port;
    int r;

    if (!job)
        return -ENOMEM;
    job->tls = tls;
    r = addr_split(slice_str(address), job->host, &port);
    if (r < 0) {
        free(job);
        return r;
    }
    r = stream_tcp_new_unconnected(loop, events, owner, &s);
    if (r < 0) {
        free(job);
        return r;
    }
    job->stream = s;
    s->connect = job;
    r = env_timer(&loop->env, &s->deadline, CONNECT_TIMEOUT_MS);
    if (r == 0)
        r = resolve_start(loop, job->host, port, connect_on_resolved, job, &job->resolve);
    if (r < 0) {
        stream_close(&s->stream, false);
        return r;
    }
    *ret_stream = &s->stream;
    return 0;
}

int connect_start(struct env *env, const char *address, const struct stream_events *events,
                  void *owner, struct stream **ret_stream)
{
    struct loop *loop = loop_of(env);

    return loop_connect(loop, address, loop->link_tls, events, owner, ret_stream);
}
