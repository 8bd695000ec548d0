/*
 * admin.c - the admin port: see admin.h.
 *
 * Not libevent's HTTP server: it can neither cap its connections nor bound
 * their whole life, so one slow scanner could hold all descriptors. What is
 * needed of HTTP here is a request line: GET or HEAD, a path, end of head.
 */
#include "common/net/admin.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/net/listener.h"

struct admin {
    struct loop *loop;
    const struct admin_hooks *hooks;
    const struct admin_page *pages;
    size_t n_pages;
    void *owner;
    struct listener *listener;
    struct list connections; /* struct admin_connection */
    size_t n_connections;
};

struct admin_connection {
    struct admin *admin;
    struct list link;
    struct stream *stream; /* NULL: gone */
    struct buf head;
    struct timer deadline;
    struct later dead;
};

static void connection_free_now(struct later *later, void *arg)
{
    struct admin_connection *c = arg;

    (void)later;
    buf_deinit(&c->head);
    free(c);
}

/* The one way out: the stream is closed or has closed already. */
static void connection_end(struct admin_connection *c, bool flush)
{
    struct env *env = loop_env(c->admin->loop);

    if (c->stream)
        stream_close(TAKE(c->stream), flush);
    env_timer_cancel(env, &c->deadline);
    list_del(&c->link);
    c->admin->n_connections--;
    env_free_later(env, &c->dead);
}

static void connection_on_deadline(struct timer *timer, void *arg)
{
    (void)timer;
    connection_end(arg, false);
}

static void connection_reply(struct admin_connection *c, const char *status, const char *type,
                             const struct buf *body, bool has_body)
{
    AUTO_BUF out = BUF_INIT;

    buf_printf(&out,
               "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
               status, type, body->len);
    if (has_body)
        buf_put_slice(&out, buf_slice(body));
    if (!buf_failed(body) && !buf_failed(&out) &&
        stream_write_bytes(c->stream, buf_slice(&out)) == 0)
        connection_end(c, true);
    else
        connection_end(c, false);
}

#define TEXT_PLAIN "text/plain; charset=utf-8"

static void connection_reply_text(struct admin_connection *c, const char *status,
                                  const char *text, bool has_body)
{
    AUTO_BUF body = BUF_INIT;

    buf_put_str(&body, text);
    connection_reply(c, status, TEXT_PLAIN, &body, has_body);
}

static void connection_serve(struct admin_connection *c, struct slice path, bool has_body)
{
    const struct admin *admin = c->admin;
    AUTO_BUF out = BUF_INIT;

    if (slice_eq_str(path, "/healthz")) {
        connection_reply_text(c, "200 OK", "ok\n", has_body);
        return;
    }
    if (slice_eq_str(path, "/readyz")) {
        if (admin->hooks->is_ready(admin->owner, &out))
            connection_reply_text(c, "200 OK", "ready\n", has_body);
        else
            connection_reply(c, "503 Service Unavailable", TEXT_PLAIN, &out, has_body);
        return;
    }
    if (slice_eq_str(path, "/metrics")) {
        admin->hooks->write_metrics(admin->owner, &out);
        connection_reply(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8", &out,
                         has_body);
        return;
    }
    for (size_t i = 0; i < admin->n_pages; i++) {
        if (!slice_eq_str(path, admin->pages[i].path))
            continue;
        admin->pages[i].write(admin->owner, &out);
        connection_reply(c, "200 OK", "application/json", &out, has_body);
        return;
    }
    connection_reply_text(c, "404 Not Found", "not found\n", has_body);
}

static struct slice take_word(struct slice *line)
{
    const char *space = memchr(line->data, ' ', line->len);
    struct slice word = {line->data, space ? (size_t)(space - line->data) : line->len};

    line->data += word.len + (space ? 1 : 0);
    line->len -= word.len + (space ? 1 : 0);
    return word;
}

/* The head is complete: its first line says what is wanted. */
static void connection_dispatch(struct admin_connection *c)
{
    const char *end = memmem(c->head.data, c->head.len, "\r\n", 2);
    struct slice line = slice_of(c->head.data, (size_t)(end - c->head.data));
    struct slice method = take_word(&line);
    struct slice path = take_word(&line);
    const char *query = path.len ? memchr(path.data, '?', path.len) : NULL;
    bool is_head = slice_eq_str(method, "HEAD");

    if (!slice_eq_str(line, "HTTP/1.1") && !slice_eq_str(line, "HTTP/1.0"))
        connection_reply_text(c, "400 Bad Request", "bad request\n", true);
    else if (!is_head && !slice_eq_str(method, "GET"))
        connection_reply_text(c, "405 Method Not Allowed", "only GET and HEAD\n", true);
    else
        connection_serve(c, query ? slice_of(path.data, (size_t)(query - path.data)) : path,
                         !is_head);
}

static void connection_on_bytes(void *owner, struct slice bytes)
{
    struct admin_connection *c = owner;

    if (c->head.len + bytes.len > HTTP_HEAD_MAX) {
        connection_reply_text(c, "431 Request Header Fields Too Large", "too large\n", true);
        return;
    }
    buf_put_slice(&c->head, bytes);
    if (buf_failed(&c->head))
        connection_end(c, false);
    else if (memmem(c->head.data, c->head.len, "\r\n\r\n", 4))
        connection_dispatch(c);
}

static void connection_on_close(void *owner, enum stream_end end)
{
    struct admin_connection *c = owner;

    (void)end;
    c->stream = NULL;
    connection_end(c, false);
}

static const struct stream_events connection_events = {
    .on_bytes = connection_on_bytes,
    .on_close = connection_on_close,
};

static void admin_on_accept(void *owner, struct stream *stream, const struct addr *peer)
{
    struct admin *admin = owner;
    struct admin_connection *c;

    (void)peer;
    if (admin->n_connections >= ADMIN_CONNECTIONS_MAX)
        return; /* without events: closed */
    c = calloc(1, sizeof(*c));
    if (!c)
        return;
    c->admin = admin;
    c->stream = stream;
    timer_init(&c->deadline, connection_on_deadline, c);
    later_init(&c->dead, connection_free_now, c);
    list_add_tail(&admin->connections, &c->link);
    admin->n_connections++;
    stream_set_events(stream, &connection_events, c);
    if (env_timer(loop_env(admin->loop), &c->deadline, ADMIN_TIMEOUT_MS) < 0)
        connection_end(c, false);
}

static const struct listener_events admin_listener_events = {.on_accept = admin_on_accept};

int admin_new(struct loop *loop, const char *address, const struct admin_hooks *hooks,
              const struct admin_page *pages, size_t n_pages, void *owner,
              struct admin **ret_admin)
{
    AUTO(admin_free) struct admin *admin = calloc(1, sizeof(*admin));
    struct listener_config config = {.address = address};
    int r;

    if (!admin)
        return -ENOMEM;
    list_init(&admin->connections);
    admin->loop = loop;
    admin->hooks = hooks;
    admin->pages = pages;
    admin->n_pages = n_pages;
    admin->owner = owner;
    r = listener_new(loop, &config, &admin_listener_events, admin, &admin->listener);
    if (r < 0)
        return r;
    *ret_admin = TAKE(admin);
    return 0;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    while (!list_empty(&admin->connections))
        connection_end(list_first(&admin->connections, struct admin_connection, link), false);
    listener_free(admin->listener);
    free(admin);
}

uint16_t admin_port(const struct admin *admin)
{
    return addr_port(listener_addr(admin->listener));
}
