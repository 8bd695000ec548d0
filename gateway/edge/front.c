/* front.c - see front.h. */
#include "gateway/edge/front.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/api/api.h"
#include "gateway/edge/event_stream.h"
#include "gateway/edge/front_internal.h"
#include "gateway/metrics.h"

/* Behind a proxy of ours the client's address is the one that it names. */
static void take_forwarded_address(struct front *front, struct http_exchange *ex)
{
    const struct http_request *request = &ex->request;
    AUTO_BUF list = BUF_INIT;
    struct ip ip;

    if (!ex->from_trusted_proxy)
        return;
    for (size_t i = 0; i < request->n_fields; i++) {
        if (!slice_eq_nocase(http_request_span(request, request->fields[i].name),
                             "x-forwarded-for"))
            continue;
        if (list.len)
            buf_put_char(&list, ',');
        buf_put_slice(&list, http_request_span(request, request->fields[i].value));
    }
    if (proxy_forwarded_for(buf_slice(&list), front->parts.trusted_proxies, &ip))
        ip_format(&ip, ex->address);
}

static bool is_socket(struct slice path)
{
    static const char prefix[] = "/ws/";

    return slice_eq_str(path, "/ws") || (path.len >= sizeof(prefix) - 1 &&
                                         memcmp(path.data, prefix, sizeof(prefix) - 1) == 0);
}

static uint64_t body_limit(void *owner, struct http_exchange *ex)
{
    const struct front *front = owner;

    return api_body_limit(front->parts.api, ex);
}

static void on_request(void *owner, struct http_exchange *ex)
{
    struct front *front = owner;

    take_forwarded_address(front, ex);
    if (ex->request.method == HTTP_GET && is_socket(http_request_path(&ex->request)))
        socket_open(front, ex);
    else
        api_handle(front->parts.api, ex);
}

static void on_refused(void *owner, struct http_exchange *ex, const struct http_refusal *why)
{
    struct front *front = owner;

    api_refuse(front->parts.api, ex, why);
}

static void on_done(void *owner, void *context, bool upgraded)
{
    struct front *front = owner;

    (void)context;
    (void)upgraded;
    front->parts.metrics->http_connections--;
}

static const struct http_events http_events = {body_limit, on_request, on_refused, on_done};

int front_new(const struct front_parts *parts, struct front **ret_front)
{
    struct front *front = calloc(1, sizeof(*front));

    if (!front)
        return -ENOMEM;
    front->parts = *parts;
    openings_init(front);
    list_init(&front->opening);
    list_init(&front->sockets);
    list_init(&front->streams);
    if (!front->parts.heartbeat_ms)
        front->parts.heartbeat_ms = EVENT_STREAM_BEAT_MS;
    http_server_init(&front->http, parts->env, parts->wheel, &http_events, front);
    ws_server_init(&front->ws, parts->env, parts->wheel);
    *ret_front = front;
    return 0;
}

void front_free(struct front *front)
{
    if (!front)
        return;
    event_stream_drop_all(front);
    http_server_close_all(&front->http);
    socket_open_cancel_all(front);
    openings_stop(front);
    room_socket_drop_all(front);
    ws_server_deinit(&front->ws);
    free(front);
}

bool front_take(struct front *front, struct stream *stream, const struct ip *peer,
                bool trusted_proxy, bool secure)
{
    struct http_peer http_peer = {.trusted_proxy = trusted_proxy, .secure = secure};

    ip_format(peer, http_peer.address);
    if (http1_conn_new(&front->http, stream, &http_peer) < 0)
        return false;
    front->parts.metrics->http_connections++;
    return true;
}

void front_open_stream(struct front *front, struct api_request *req)
{
    event_stream_open(front, req);
}

void front_end_keep_alive(struct front *front)
{
    front->http.draining = true;
}

void front_drain(struct front *front)
{
    front->draining = true;
    http_server_drain(&front->http);
}

size_t front_open_count(const struct front *front)
{
    return (size_t)front->parts.metrics->http_connections + !list_empty(&front->ws.closing);
}

void front_count_close(struct front *front, unsigned code)
{
    struct gateway_metrics *m = front->parts.metrics;

    switch (code) {
    case 1000:
    case 1001:
    case 1005:
        m->closed_normal++;
        break;
    case 1006:
        m->closed_lost++;
        break;
    case 1002:
    case 1003:
    case 1007:
    case 1009:
        m->closed_protocol++;
        break;
    case 1008:
        m->closed_1008++;
        break;
    case 1012:
        m->closed_1012++;
        break;
    case 1013:
        m->closed_1013++;
        break;
    default:
        m->closed_other++;
        break;
    }
}
