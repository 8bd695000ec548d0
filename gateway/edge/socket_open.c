/*
 * socket_open.c - from the request for a socket to the open socket:
 * handshake checked, address read, caller let in, 101. A caller who is not let
 * in gets the 101 as well and then a close frame with the reason: browsers
 * show no HTTP status to the page (docs/protocol-client.md).
 */
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "gateway/api/admit.h"
#include "gateway/api/api.h"
#include "gateway/edge/front_internal.h"
#include "gateway/edge/socket_query.h"
#include "gateway/edge/ws_upgrade.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"

struct socket_opening {
    struct list link; /* front.opening */
    struct opening turn;
    struct front *front;
    struct http_exchange *ex;
    struct ws_upgrade upgrade;
    struct socket_query query;
    struct buf credential;
    struct admission admission;
    bool has_turn;    /* in this turn of the loop */
    bool is_admitted; /* may be let in when it is its turn */
};

static void opening_free(struct socket_opening *o)
{
    list_del(&o->link);
    openings_leave(o->front, &o->turn);
    socket_query_deinit(&o->query);
    if (o->credential.data)
        secret_wipe(o->credential.data, o->credential.cap);
    buf_deinit(&o->credential);
    free(o);
}

/* Answers the handshake. NULL: the client is gone. */
static struct stream *shake_hands(struct socket_opening *o, struct buf *ret_rest)
{
    struct http_header headers[8];
    size_t n = ws_upgrade_headers(&o->upgrade, headers);
    struct trace trace = o->ex->trace;

    headers[n++] = (struct http_header){"X-Trace-Id", trace_slice(&trace)};
    return http_exchange_upgrade(o->ex, headers, n, ret_rest);
}

static void refuse(struct socket_opening *o, unsigned code, const char *reason)
{
    AUTO_BUF rest = BUF_INIT; /* a refused client is not listened to */
    struct front *front = o->front;
    struct trace trace = o->ex->trace;
    struct stream *stream = shake_hands(o, &rest);

    log_debug("socket refused", L_STR("room", o->query.room), L_U64("code", code),
              L_STR("why", reason), L_STR("trace_id", trace.id));
    opening_free(o);
    front->parts.metrics->sockets_refused++;
    if (stream)
        room_socket_refuse(front, stream, code, reason);
}

static void let_in(struct socket_opening *o)
{
    AUTO_BUF rest = BUF_INIT;
    AUTO_BUF info = BUF_INIT;
    struct front *front = o->front;
    struct trace trace = o->ex->trace;
    struct stream *stream;

    presence_info_clean(buf_slice(&o->query.user_info), slice_str(o->admission.token.name),
                        &info);
    buf_deinit(&o->query.user_info);
    o->query.user_info = info;
    info = BUF_INIT;
    log_debug("socket", L_STR("project", o->admission.token.project),
              L_STR("user", o->admission.token.user), L_STR("room", o->query.room),
              L_STR("address", o->ex->address), L_STR("trace_id", trace.id));
    stream = shake_hands(o, &rest);
    if (stream)
        room_socket_start(front, stream, &o->query, &o->admission.token, trace_slice(&trace),
                          buf_slice(&rest));
    opening_free(o);
}

/* A channel is its user's only; a token for one room is good for that room only, which a socket
 * with many rooms is told when it subscribes. */
static bool is_good_for(const struct token *token, const struct socket_query *query)
{
    if (query->user[0])
        return strcmp(token->user, query->user) == 0 && !token->room[0];
    return query->many_rooms || !token->room[0] || strcmp(token->room, query->room) == 0;
}

static void wait_for_turn(struct socket_opening *o, bool is_admitted)
{
    o->is_admitted = is_admitted;
    openings_wait(o->front, &o->turn);
}

static void on_admitted(void *arg, struct admission *admission)
{
    struct socket_opening *o = arg;
    struct slice origin = {0};

    (void)http_request_field(&o->ex->request, "origin", &origin); /* absent: no browser */
    switch (admission->error) {
    case ERROR_NONE:
        break;
    case ERROR_token_expired:
    case ERROR_anonymous_not_allowed:
    case ERROR_invalid_api_key:
        refuse(o, WS_CODE_POLICY, error_info(admission->error)->code);
        return;
    case ERROR_unavailable:
    case ERROR_overloaded:
        refuse(o, WS_CODE_OVERLOADED, error_info(admission->error)->code);
        return;
    default:
        refuse(o, WS_CODE_POLICY, "invalid_token");
        return;
    }
    if (o->front->draining)
        refuse(o, WS_CODE_RESTART, "drain");
    else if (!is_good_for(&admission->token, &o->query) ||
             (origin.len && !project_allows_origin(admission->project, origin)))
        refuse(o, WS_CODE_POLICY, "forbidden");
    else if (!o->has_turn)
        wait_for_turn(o, true);
    else
        let_in(o);
}

static bool is_user_path(struct slice path)
{
    static const char prefix[] = "/ws/user/";

    return path.len >= sizeof(prefix) - 1 && memcmp(path.data, prefix, sizeof(prefix) - 1) == 0;
}

/* An API key lets nobody in: it says no user. A bad one is called so, because that is what its
 * owner must mend; who has a good one forgot the token. */
static void on_key(void *arg, struct admission *admission)
{
    if (admission->error == ERROR_NONE)
        admission->error = ERROR_invalid_token;
    on_admitted(arg, admission);
}

/* True: it waits for the answer about the key. */
static bool without_token(struct socket_opening *o)
{
    const struct http_request *request = &o->ex->request;
    struct slice key;

    o->front->parts.metrics->auth_missing++;
    buf_clear(&o->credential);
    if (http_request_field(request, "x-fluxy-api-key", &key))
        buf_put_slice(&o->credential, key);
    else if (uri_query_get(http_request_query(request), "apiKey", &o->credential) != 0)
        buf_clear(&o->credential);
    if (http_request_field_count(request, "authorization") || o->credential.len == 0) {
        refuse(o, WS_CODE_POLICY, "invalid_token");
        return false;
    }
    if (admit_key(o->front->parts.admit, &o->admission, buf_slice(&o->credential), on_key, o) ==
        ADMIT_WAIT)
        return true;
    on_key(o, &o->admission);
    return false;
}

/* True: it waits for what is known of the project or key. Else it is gone. */
static bool begin(struct socket_opening *o)
{
    const struct http_request *request = &o->ex->request;
    struct front *front = o->front;
    struct slice origin = {0};

    (void)http_request_field(request, "origin", &origin);
    if (front->draining) {
        refuse(o, WS_CODE_RESTART, "drain");
    } else if (!socket_query_read(http_request_path(request), http_request_query(request),
                                  &o->query)) {
        /* No room and no user has such a name. */
        refuse(o, WS_CODE_POLICY,
               is_user_path(http_request_path(request)) ? "forbidden" : "not_member");
    } else if (o->query.bad_cursor) {
        refuse(o, WS_CODE_POLICY, "invalid_cursor");
    } else if (!api_allows_origin(front->parts.api, origin)) {
        refuse(o, WS_CODE_POLICY, "forbidden");
    } else if (!api_request_token(request, &o->credential)) {
        return without_token(o);
    } else {
        o->query.native |= o->upgrade.subprotocol;
        if (admit_token(front->parts.admit, &o->admission, buf_slice(&o->credential),
                        on_admitted, o) == ADMIT_WAIT)
            return true;
        on_admitted(o, &o->admission);
    }
    return false;
}

/* What it waits for may be answered at once or in another turn. */
static void run(struct opening *turn)
{
    struct socket_opening *o = container_of(turn, struct socket_opening, turn);

    if (o->is_admitted) {
        let_in(o);
        return;
    }
    o->has_turn = true;
    if (begin(o))
        o->has_turn = false;
}

void socket_open(struct front *front, struct http_exchange *ex)
{
    static const struct http_refusal no_memory = {503, "overloaded", "out of memory"};
    static const struct http_refusal no_room = {503, "overloaded",
                                                "too many sockets are being opened"};
    struct ws_upgrade upgrade;
    struct http_refusal refusal;
    struct socket_opening *o;

    if (!ws_upgrade_check(&ex->request, &upgrade, &refusal)) {
        api_refuse(front->parts.api, ex, &refusal);
        return;
    }
    if (openings_are_full(front)) {
        front->parts.metrics->sockets_refused++;
        api_refuse(front->parts.api, ex, &no_room);
        return;
    }
    o = calloc(1, sizeof(*o));
    if (!o) {
        api_refuse(front->parts.api, ex, &no_memory);
        return;
    }
    list_init(&o->turn.link);
    o->turn.run = run;
    o->front = front;
    o->ex = ex;
    o->upgrade = upgrade;
    list_add_tail(&front->opening, &o->link);
    if (openings_take_turn(front))
        run(&o->turn);
    else
        wait_for_turn(o, false);
}

void socket_open_cancel_all(struct front *front)
{
    static const struct http_response gone = {.status = 503, .close = true};

    while (!list_empty(&front->opening)) {
        struct socket_opening *o = list_first(&front->opening, struct socket_opening, link);

        admission_cancel(&o->admission);
        http_exchange_reply(o->ex, &gone);
        opening_free(o);
    }
}
