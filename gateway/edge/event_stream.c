/*
 * event_stream.c - see event_stream.h.
 *
 * The answer begins with the first frame: until then the room's shard may say
 * that the caller may not enter, and that is an answer of its own (403), after
 * which a browser does not come again.
 */
#include "gateway/edge/event_stream.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "gateway/api/request.h"
#include "gateway/edge/front_internal.h"
#include "gateway/edge/socket_query.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

struct event_stream {
    struct list link; /* front.streams */
    struct front *front;
    struct api_request *req; /* NULL once it is answered */
    struct session *session; /* NULL before its turn, and once it has ended */
    struct opening turn;
    struct socket_query *query; /* owned; NULL from its turn on */
    struct wheel_entry heartbeat;
    struct later dead;
    bool has_begun;
    bool has_failed; /* nothing can be sent any more */
};

static void free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

static void query_free(struct socket_query *query)
{
    if (query)
        socket_query_deinit(query);
    free(query);
}
DEFINE_AUTO(struct socket_query, query_free)

static void forget(struct event_stream *s)
{
    struct front *front = s->front;

    wheel_cancel(&s->heartbeat);
    openings_leave(front, &s->turn);
    query_free(TAKE(s->query));
    list_del(&s->link);
    front->parts.metrics->event_streams--;
    env_free_later(front->parts.env, &s->dead);
}

/* ---- the end ---- */

/* What an answer says that has no stream in it. A room that does not exist and one that the
 * caller may not enter look the same. */
static enum error_code error_of(unsigned code, struct slice reason)
{
    enum error_code error = error_code_parse(reason);

    switch (code) {
    case WS_CODE_POLICY:
        return error == ERROR_NONE || error == ERROR_not_member ? ERROR_forbidden : error;
    case WS_CODE_OVERLOADED:
        return error == ERROR_NONE ? ERROR_overloaded : error;
    default:
        return ERROR_unavailable;
    }
}

/* A reason is a word of ours. Who is sent away for our sake is told when to come back: not all
 * in one moment. */
static void say_close(struct event_stream *s, struct api_request *req, unsigned code,
                      struct slice reason)
{
    AUTO_BUF event = BUF_INIT;
    char retry[32] = "";

    if (code == WS_CODE_RESTART || code == WS_CODE_OVERLOADED)
        snprintf(retry, sizeof(retry), "retry: %llu\n",
                 (unsigned long long)session_return_delay_ms(s->front->parts.env, code));
    buf_put_str(&event, retry);
    buf_put_str(&event, "data: {\"type\":\"close\",\"reason\":\"");
    buf_put_slice(&event, reason);
    buf_put_str(&event, "\"}\n\n");
    if (!buf_failed(&event) && api_reply_part(req, buf_slice(&event)) >= 0)
        api_reply_end(req);
    else
        api_reply_abort(req);
}

/* The session has ended, or never was. */
static void finish(struct event_stream *s, unsigned code, struct slice reason)
{
    struct api_request *req = TAKE(s->req);

    forget(s);
    if (s->has_failed)
        api_reply_abort(req);
    else if (s->has_begun)
        say_close(s, req, code, reason);
    else
        api_reply_error(req, error_of(code, reason), slice_of(NULL, 0));
}

static void cut(struct event_stream *s)
{
    struct session *session = TAKE(s->session);

    s->has_failed = true;
    if (session)
        session_close(session);
    finish(s, WS_CODE_ABNORMAL, slice_of(NULL, 0));
}

/* ---- the answer ---- */

static void on_writable(void *owner)
{
    struct event_stream *s = owner;

    if (s->session)
        session_on_drained(s->session);
}

static void on_gone(void *owner)
{
    cut(owner);
}

static const struct http_stream_events stream_events = {on_writable, on_gone};

static void beat(struct event_stream *s)
{
    wheel_set(s->front->parts.wheel, &s->heartbeat, s->front->parts.heartbeat_ms);
}

/* Proxies and clients take a silent connection for a dead one. */
static void on_heartbeat(struct wheel_entry *entry)
{
    struct event_stream *s = container_of(entry, struct event_stream, heartbeat);

    beat(s);
    if (http_exchange_queued(s->req->ex) > SOCKET_QUEUE_SOFT)
        return; /* there is something to read */
    if (api_reply_part(s->req, SLICE_LIT(": heartbeat\n\n")) < 0)
        cut(s);
}

static int begin(struct event_stream *s)
{
    static const struct http_header headers[] = {
        {"Cache-Control", SLICE_LIT("no-store")},
        {"X-Accel-Buffering", SLICE_LIT("no")}, /* nginx would hold events back */
    };
    struct http_stream_head head = {.status = 200,
                                    .content_type = "text/event-stream",
                                    .headers = headers,
                                    .n_headers = ARRAY_LEN(headers),
                                    .length = HTTP_LENGTH_UNKNOWN,
                                    .watch = true};
    char retry[32];
    int len = snprintf(retry, sizeof(retry), "retry: %u\n\n", EVENT_STREAM_RETRY_MS);
    int r = api_reply_begin(s->req, &head, &stream_events, s);

    s->has_begun = true;
    beat(s);
    return r < 0 ? r : api_reply_part(s->req, slice_of(retry, (size_t)len));
}

/* ---- from the session ---- */

static int write_frame(void *owner, struct blob *frame)
{
    struct event_stream *s = owner;
    int r = s->has_begun ? 0 : begin(s);

    if (r >= 0)
        r = http_exchange_write_blob(s->req->ex, frame);
    s->has_failed = r < 0;
    return r < 0 ? r : 0; /* a full queue is seen by queued() */
}

static size_t queued(void *owner)
{
    const struct event_stream *s = owner;

    return http_exchange_queued(s->req->ex);
}

static void on_session_close(void *owner, unsigned code, struct slice reason)
{
    struct event_stream *s = owner;

    s->session = NULL;
    finish(s, code, reason);
}

static void on_session_pause(void *owner, bool paused)
{
    (void)owner; /* a client that only reads has nothing unsettled */
    (void)paused;
}

static const struct session_events session_events = {.on_close = on_session_close,
                                                     .on_pause = on_session_pause,
                                                     .write = write_frame,
                                                     .queued = queued};

/* ---- life ---- */

/* A browser that comes back by itself repeats the address and adds what it has seen since. */
static void read_query(const struct http_request *request, struct socket_query *q)
{
    struct slice query = http_request_query(request), id;
    AUTO_BUF text = BUF_INIT;
    int r;

    socket_query_read_options(query, q);
    r = uri_query_get(query, "lastEventId", &text);
    if (r == 0)
        socket_query_set_event_id(q, buf_slice(&text));
    else if (r != URI_ABSENT)
        q->bad_cursor = true;
    if (!http_request_field_count(request, "last-event-id"))
        return;
    if (http_request_field(request, "last-event-id", &id))
        socket_query_set_event_id(q, id);
    else
        q->bad_cursor = true; /* more than one */
}

static int enter(struct event_stream *s, const struct socket_query *query)
{
    const struct token *token = &s->req->admission.token;
    struct session_params params = {
        .project = slice_str(token->project),
        .user = slice_str(token->user),
        .roles = s->req->roles_text,
        .only_room = slice_str(token->room),
        .token_id = slice_str(token->id),
        .issued_s = token->issued_s,
        .expires_s = token->expires_s,
        .native = query->native,
    };
    struct session_sink sink = {.framing = FRAMING_EVENT_STREAM};
    struct enter_params room = {
        .room = slice_str(s->req->room),
        .attach_flags = query->attach_flags | ATTACH_OBSERVER,
        .replay_limit = query->replay_limit,
        .last_seq = query->last_seq,
        .generation = slice_str(query->generation),
        .trace = trace_slice(&s->req->ex->trace),
    };
    int r =
        session_open(s->front->parts.sessions, &params, &sink, &session_events, s, &s->session);

    return r == 0 ? session_enter(s->session, &room) : r;
}

static void run(struct opening *turn)
{
    struct event_stream *s = container_of(turn, struct event_stream, turn);
    AUTO(query_free) struct socket_query *query = TAKE(s->query);
    struct session *session;

    if (s->front->draining) {
        finish(s, WS_CODE_RESTART, slice_of(NULL, 0));
        return;
    }
    if (enter(s, query) == 0 || !s->req) /* or it has been answered on the way */
        return;
    session = TAKE(s->session);
    if (session)
        session_close(session);
    finish(s, WS_CODE_OVERLOADED, slice_of(NULL, 0));
}

static struct event_stream *stream_new(struct front *front, struct api_request *req)
{
    struct event_stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->front = front;
    s->req = req;
    wheel_entry_init(&s->heartbeat, on_heartbeat);
    later_init(&s->dead, free_now, s);
    list_init(&s->turn.link);
    s->turn.run = run;
    list_add_tail(&front->streams, &s->link);
    front->parts.metrics->event_streams++;
    front->parts.metrics->event_streams_opened++;
    return s;
}

/* Takes what the query owns. */
static void start(struct front *front, struct api_request *req, struct socket_query *query)
{
    AUTO(query_free) struct socket_query *kept = malloc(sizeof(*kept));
    struct event_stream *s = kept && !openings_are_full(front) ? stream_new(front, req) : NULL;

    if (kept) {
        *kept = *query;
        *query = (struct socket_query){0};
    }
    if (!s) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    log_debug("event stream", L_STR("project", req->admission.token.project),
              L_STR("user", req->admission.token.user), L_STR("room", req->room),
              L_STR("trace_id", req->ex->trace.id));
    s->query = TAKE(kept);
    if (openings_take_turn(front))
        run(&s->turn);
    else
        openings_wait(front, &s->turn);
}

void event_stream_open(struct front *front, struct api_request *req)
{
    struct socket_query query = {0};
    struct slice origin = {0};

    (void)http_request_field(&req->ex->request, "origin", &origin); /* absent: no browser */
    read_query(&req->ex->request, &query);
    if (!api_allows_origin(req->api, origin) ||
        (origin.len && !project_allows_origin(req->admission.project, origin)))
        api_reply_error(req, ERROR_forbidden, SLICE_LIT("not for pages of this origin"));
    else if (front->draining)
        api_reply_error(req, ERROR_unavailable, SLICE_LIT("this gateway is being stopped"));
    else if (query.bad_cursor)
        api_reply_error(
            req, ERROR_invalid_cursor,
            SLICE_LIT(
                "Last-Event-ID is the id of an event, lastSeq an integer from 0 to 2^53 - 1"));
    else
        start(front, req, &query);
    socket_query_deinit(&query);
}

void event_stream_drop_all(struct front *front)
{
    while (!list_empty(&front->streams)) {
        struct event_stream *s = list_first(&front->streams, struct event_stream, link);
        struct session *session = TAKE(s->session);

        if (session)
            session_close(session);
        finish(s, WS_CODE_RESTART, SLICE_LIT("drain"));
    }
}
