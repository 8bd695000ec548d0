/* sim_socket.c - see sim_socket.h. */
#include "tests/sim/sim_socket.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "tests/sim/sim_world.h"

#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 800
#define STOPPED_POLL_MS 5 /* does the gateway run again? */

/* Something that reaches the client, or that the client does, later; ignored when its
 * connection has ended since. */
struct errand {
    struct sim_socket *socket;
    unsigned connection;
    struct blob *blob; /* server frames, or NULL */
    sim_socket_fn fn;
    uint64_t number;
};

uint64_t frame_u64(const json_t *frame, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(frame, name));
}

struct slice frame_str(const json_t *frame, const char *name)
{
    const json_t *v = json_object_get(frame, name);

    return slice_of(json_string_value(v), json_string_length(v));
}

static struct sim *sim_of(const struct sim_socket *s)
{
    return &s->world->sim;
}

static struct sim_edge *edge_of(const struct sim_socket *s)
{
    return &s->world->edges[s->edge];
}

static struct errand *errand_new(struct sim_socket *s)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (!errand)
        abort();
    errand->socket = s;
    errand->connection = s->number;
    return errand;
}

static void on_errand(struct sim *sim, void *arg)
{
    struct errand *errand = arg;

    (void)sim;
    if (errand->connection == errand->socket->number)
        errand->fn(errand->socket, errand->number);
    free(errand);
}

void sim_socket_after(struct sim_socket *s, uint64_t ms, sim_socket_fn fn, uint64_t number)
{
    struct errand *errand = errand_new(s);

    errand->fn = fn;
    errand->number = number;
    sim_after(sim_of(s), ms, on_errand, errand);
}

/* ---- what it says and is told ---- */

/* Waits in the gateway's socket buffer, while that is stopped. */
struct said {
    struct list link;
    char *json;
};

static void said_drop(struct said *said)
{
    list_del(&said->link);
    free(said->json);
    free(said);
}

static void drop_said(struct sim_socket *s)
{
    while (!list_empty(&s->said))
        said_drop(list_first(&s->said, struct said, link));
}

static void read_said(struct sim_socket *s, uint64_t number)
{
    (void)number;
    while (s->session && !list_empty(&s->said)) {
        struct said *said = list_first(&s->said, struct said, link);

        if (edge_of(s)->node->paused) {
            sim_socket_after(s, STOPPED_POLL_MS, read_said, 0);
            return;
        }
        session_on_text(s->session, slice_str(said->json));
        said_drop(said);
        sim_turn_end(edge_of(s)->node);
    }
}

void sim_socket_say(struct sim_socket *s, struct slice json)
{
    struct sim_edge *edge = edge_of(s);
    struct said *said;

    if (!s->session)
        return;
    if (s->world->options.is_talkative)
        sim_trace(s->world, "%s says %.*s", s->name, (int)json.len, json.data);
    if (!edge->node->paused && list_empty(&s->said)) {
        session_on_text(s->session, json);
        sim_turn_end(edge->node);
        return;
    }
    said = calloc(1, sizeof(*said));
    if (!said)
        abort();
    said->json = slice_dup(json);
    list_add_tail(&s->said, &said->link);
    if (list_first(&s->said, struct said, link) == said)
        sim_socket_after(s, STOPPED_POLL_MS, read_said, 0);
}

static void on_text(struct sim_socket *s, struct slice text)
{
    json_t *frame = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    if (frame_str(frame, "type").len == 0)
        sim_violation(&s->world->check, "%s: not a frame: %.*s", s->name, (int)text.len,
                      text.data);
    else
        s->events->on_frame(s, frame, text);
    json_decref(frame);
}

/* Server frames lie whole in a blob, one or several. */
static void on_blob(struct sim_socket *s, const struct blob *blob, unsigned connection)
{
    const uint8_t *at = (const uint8_t *)blob->data;
    size_t left = blob->len;

    while (left >= 2 && connection == s->number) {
        size_t head = 2;
        uint64_t len = at[1] & 0x7fu;

        if (len == 126) {
            len = (uint64_t)at[2] << 8 | at[3];
            head = 4;
        } else if (len == 127) {
            len = 0;
            for (int i = 0; i < 8; i++)
                len = len << 8 | at[2 + i];
            head = 10;
        }
        assert(head + len <= left);
        if ((at[0] & 0x0f) == 1)
            on_text(s, slice_of(at + head, (size_t)len));
        at += head + len;
        left -= head + (size_t)len;
    }
}

static void drained(struct sim_socket *s, uint64_t number)
{
    if (!s->session || !s->is_full)
        return;
    if (edge_of(s)->node->paused) {
        sim_socket_after(s, STOPPED_POLL_MS, drained, number);
        return;
    }
    s->is_full = false;
    session_on_drained(s->session);
    sim_turn_end(edge_of(s)->node);
}

static void on_delivery(struct sim *sim, void *arg)
{
    struct errand *errand = arg;
    struct sim_socket *s = errand->socket;

    (void)sim;
    if (errand->connection == s->number) {
        s->stream.queued_bytes -= errand->blob->len;
        on_blob(s, errand->blob, errand->connection);
        if (errand->connection == s->number && s->session && s->is_full &&
            s->stream.queued_bytes <= s->world->marks.low)
            drained(s, 0);
    }
    blob_unref(errand->blob);
    free(errand);
}

static int socket_write(struct stream *stream, struct blob *blob)
{
    struct sim_socket *s = container_of(stream, struct sim_socket, stream);
    struct errand *errand = errand_new(s);
    uint64_t at = sim_of(s)->now_ms + sim_range(&sim_of(s)->rng, 0, 2);

    errand->blob = blob_ref(blob);
    s->arrives_ms = MAX(s->arrives_ms, at);
    stream->queued_bytes += blob->len;
    s->is_full |= stream->queued_bytes > s->world->marks.soft;
    sim_after(sim_of(s), s->arrives_ms - sim_of(s)->now_ms, on_delivery, errand);
    return 0;
}

static void socket_pause(struct stream *stream, bool paused)
{
    (void)stream;
    (void)paused; /* the edge's to do; a client sends little */
}

static void socket_close(struct stream *stream, bool flush)
{
    (void)stream;
    (void)flush;
}

static const struct stream_ops stream_ops = {
    .write = socket_write, .pause = socket_pause, .close = socket_close};

/* ---- coming and going ---- */

static void connect_now(struct sim_socket *s, uint64_t number)
{
    (void)number;
    sim_socket_connect(s);
}

static void dial_later(struct sim_socket *s)
{
    unsigned doublings = MIN(s->backoff, 6u);
    uint64_t cap = MIN((uint64_t)BACKOFF_MAX_MS, (uint64_t)BACKOFF_MIN_MS << doublings);

    s->backoff++;
    sim_socket_after(s, sim_range(&sim_of(s)->rng, 1, cap), connect_now, 0);
}

static void gone(struct sim_socket *s)
{
    s->session = NULL;
    s->number++;
    drop_said(s);
    s->events->on_gone(s);
}

/* The close frame comes behind what was written before it. */
static void on_close_frame(struct sim_socket *s, uint64_t number)
{
    (void)number;
    gone(s);
    dial_later(s);
}

static void on_session_close(void *owner, unsigned code, struct slice reason)
{
    struct sim_socket *s = owner;

    if (s->world->options.is_talkative)
        sim_trace(s->world, "%s is closed: %u %.*s", s->name, code, (int)reason.len,
                  reason.data ? reason.data : "");
    if (code == 1008)
        sim_violation(&s->world->check, "%s: closed for good: %.*s", s->name, (int)reason.len,
                      reason.data);
    s->session = NULL;
    s->arrives_ms = MAX(s->arrives_ms, sim_of(s)->now_ms);
    sim_socket_after(s, s->arrives_ms - sim_of(s)->now_ms, on_close_frame, 0);
}

static void on_session_pause(void *owner, bool paused)
{
    (void)owner;
    (void)paused;
}

static const struct session_events session_events = {.on_close = on_session_close,
                                                     .on_pause = on_session_pause};

void sim_socket_connect(struct sim_socket *s)
{
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET};
    struct session_params params = {0};
    struct enter_params enter = {0};
    struct sim_edge *edge;

    if (s->is_stopped || s->session)
        return;
    s->edge = (s->edge + 1) % s->world->n_gateways;
    edge = edge_of(s);
    if (!edge->sessions || !edge->node->up || edge->node->paused) {
        dial_later(s);
        return;
    }
    s->n_connects++;
    s->number++;
    s->stream = (struct stream){.ops = &stream_ops};
    s->arrives_ms = 0;
    s->is_full = false;
    sink.stream = &s->stream;
    s->events->on_dial(s, &params, &enter);
    if (session_open(edge->sessions, &params, &sink, &session_events, s, &s->session) != 0) {
        s->session = NULL;
        dial_later(s);
        return;
    }
    if (!params.many_rooms && session_enter(s->session, &enter) != 0) {
        session_close(s->session);
        gone(s);
        dial_later(s);
    }
    if (s->session && s->events->on_open)
        s->events->on_open(s);
    sim_turn_end(edge->node);
}

void sim_socket_is_well(struct sim_socket *s)
{
    s->backoff = 0;
}

void sim_socket_stall(struct sim_socket *s, uint64_t ms)
{
    s->arrives_ms = MAX(s->arrives_ms, sim_of(s)->now_ms + ms);
}

void sim_socket_cut(struct sim_socket *s)
{
    if (!s->session)
        return;
    session_close(s->session);
    gone(s);
    dial_later(s);
}

void sim_socket_hang_up(struct sim_socket *s, uint64_t away_ms)
{
    struct sim_edge *edge = edge_of(s);

    if (!s->session || edge->node->paused)
        return;
    session_close(s->session);
    sim_turn_end(edge->node);
    gone(s);
    if (away_ms > 0)
        sim_socket_after(s, away_ms, connect_now, 0);
    else
        dial_later(s);
}

bool sim_socket_is_given(const struct sim_socket *s, struct slice room, uint64_t seq)
{
    const struct attach *a = s->session ? session_find_attach(s->session, room) : NULL;

    return a && (a->state == ATTACH_STATE_LIVE || a->state == ATTACH_STATE_ASLEEP) &&
           a->cursor >= seq && s->stream.queued_bytes == 0;
}

bool sim_socket_is_first(const struct sim_socket *s, struct slice room)
{
    const struct attach *a = s->session ? session_find_attach(s->session, room) : NULL;

    return a && a->epoch == 1;
}

void sim_socket_init(struct sim_socket *s, struct sim_world *world,
                     const struct sim_socket_events *events, const char *name,
                     size_t first_edge)
{
    *s =
        (struct sim_socket){.world = world, .events = events, .name = name, .edge = first_edge};
    list_init(&s->said);
    list_add_tail(&world->sockets, &s->link);
}

void sim_socket_deinit(struct sim_socket *s)
{
    s->is_stopped = true;
    if (s->session)
        session_close(s->session);
    s->session = NULL;
    s->number++;
    drop_said(s);
    list_del(&s->link);
}
